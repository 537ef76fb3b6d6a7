"""Any OpenAI-compatible endpoint, through the `openai` client. The key never leaves this file.

The client retries by itself: after 408, 409, 429 and 5xx and after a lost connection, with back-off
or as the endpoint's Retry-After asks. One budget of time bounds the whole request, so neither an
endpoint that hangs nor one that sends a byte a second holds anything for longer.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from citadel.errors import BadConfig, ProviderFailed
from citadel.wire.messages import ProviderInfo
from engine.providers.chat import ChatReply, ChatRequest, ProviderSettings

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai.types.chat import ChatCompletion

DEFAULT_URL = "https://api.openai.com/v1"
MAX_ERROR_TEXT = 500
"""Characters of an endpoint's error that are told on."""
_NO_KEY = "none"
"""What the client sends where an endpoint wants no key: it insists on one."""


class OpenAICompatibleProvider:
    """Chat completions over HTTP."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._url = settings.base_url or DEFAULT_URL
        self._client: AsyncOpenAI | None = None
        self.info = ProviderInfo(name=settings.name, model=settings.model, simulated=False)
        if not settings.model:
            raise BadConfig(
                f"provider {settings.name} names no model",
                subject=settings.name,
                remedy=f"Set the model's name as {self._url} knows it",
            )
        if settings.api_key_env and not os.environ.get(settings.api_key_env):
            raise BadConfig(
                f"provider {settings.name} takes its key from {settings.api_key_env},"
                " which is not set",
                subject=settings.name,
                remedy=f"Set {settings.api_key_env} in the engine's environment",
            )

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Asks the endpoint."""
        # The client takes a second to import, so only an engine that needs it pays.
        from openai import APITimeoutError, OpenAIError  # noqa: PLC0415

        seconds = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                answer = await self._ask(request)
            return self._reply(answer)
        except (TimeoutError, APITimeoutError):
            raise self._failed(f"no answer within {seconds:g} s") from None
        except OpenAIError as error:
            # Without its cause: that one may hold the request, and so the key.
            raise self._failed(f"{type(error).__name__}: {error}") from None
        except (AttributeError, IndexError, LookupError, TypeError, ValueError) as error:
            raise self._failed(f"its answer is no chat completion ({error})") from None

    async def close(self) -> None:
        """Ends the connections."""
        if self._client is not None:
            await self._client.close()

    async def _ask(self, request: ChatRequest) -> ChatCompletion:
        if self._client is None:
            self._client = self._new_client()
        return await self._client.chat.completions.create(
            model=self._settings.model,
            max_tokens=request.max_tokens,
            messages=[
                *([{"role": "system", "content": request.system}] if request.system else []),
                {"role": "user", "content": request.prompt},
            ],  # type: ignore[arg-type]
            extra_headers=_headers(request),
        )

    def _new_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI  # noqa: PLC0415 - see `chat`

        return AsyncOpenAI(
            base_url=self._url,
            api_key=self._key() or _NO_KEY,
            timeout=self._settings.timeout_seconds,
            max_retries=self._settings.max_retries,
        )

    def _reply(self, answer: ChatCompletion) -> ChatReply:
        choice = answer.choices[0]
        text = choice.message.content
        if not isinstance(text, str):
            raise TypeError("it has no text")
        return ChatReply(
            text=text,
            model=answer.model or self._settings.model,
            input_tokens=answer.usage.prompt_tokens if answer.usage else 0,
            output_tokens=answer.usage.completion_tokens if answer.usage else 0,
            simulated=False,
            finish_reason=choice.finish_reason or "",
        )

    def _key(self) -> str:
        name = self._settings.api_key_env
        return os.environ.get(name, "") if name else ""

    def _failed(self, what: str) -> ProviderFailed:
        key = self._key()
        told = what.replace(key, "…") if key else what
        return ProviderFailed(
            f"provider {self._settings.name} failed: {told[:MAX_ERROR_TEXT]}",
            subject=self._settings.name,
            remedy=f"Check {self._url}, the model and the key",
        )


def _headers(request: ChatRequest) -> dict[str, str] | None:
    """W3C's, so that the endpoint's spans are of the same trace."""
    if not request.traceparent:
        return None
    state = {"tracestate": request.tracestate} if request.tracestate else {}
    return {"traceparent": request.traceparent, **state}
