"""What a chat provider is: a request goes in, an answer comes out, or a typed error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from citadel.wire.messages import ProviderInfo

DEFAULT_MAX_TOKENS = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A prompt, and the system prompt before it."""

    prompt: str
    system: str = ""
    max_tokens: int = DEFAULT_MAX_TOKENS
    traceparent: str = ""
    tracestate: str = ""
    """Goes to the endpoint as a header, so that its spans are of the same trace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatReply:
    """An answer, and what it cost in tokens."""

    text: str
    model: str
    input_tokens: int
    output_tokens: int
    simulated: bool
    finish_reason: str = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSettings:
    """A provider, as the operator set it up. Times are in seconds."""

    name: str = "simulated"
    kind: Literal["openai", "simulated"] = "simulated"
    base_url: str = ""
    model: str = "simulated"
    api_key_env: str = ""
    """The environment variable that holds the key; the key itself is in no file."""
    timeout_seconds: float = 30.0
    """An answer must come in this, tries included."""
    max_retries: int = 2
    seed: int = 0
    latency_seconds: float = 0.005
    """Of the simulated one: the mean wait for an answer."""
    failure_rate: float = 0.0
    """Of the simulated one: the share of requests that fail."""


class ChatProvider(Protocol):
    """Reaches one chat model."""

    @property
    def info(self) -> ProviderInfo:
        """Name, model, and whether it is simulated."""
        ...

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Answers.

        Raises:
            ProviderFailed: it answered with an error, with garbage, or not in time.
        """
        ...

    async def close(self) -> None:
        """Ends its connections."""
