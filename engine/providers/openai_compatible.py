"""Any OpenAI-compatible endpoint, through the `openai` client. The key never leaves this file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from citadel.errors import BadConfig, ProviderFailed
from citadel.wire.messages import ProviderInfo
from engine.providers.chat import ChatReply, ChatRequest, ProviderSettings

if TYPE_CHECKING:
    from openai import AsyncOpenAI


class OpenAICompatibleProvider:
    """Chat completions over HTTP, with the client's own retries and back-off."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self._client: AsyncOpenAI | None = None
        self.info = ProviderInfo(name=settings.name, model=settings.model, simulated=False)
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
        from openai import AsyncOpenAI, OpenAIError  # noqa: PLC0415

        settings = self._settings
        if self._client is None:
            key = os.environ.get(settings.api_key_env, "") if settings.api_key_env else ""
            self._client = AsyncOpenAI(
                base_url=settings.base_url or None,
                api_key=key or "none",
                timeout=settings.timeout_seconds,
                max_retries=settings.max_retries,
            )
        try:
            answer = await self._client.chat.completions.create(
                model=settings.model,
                max_tokens=request.max_tokens,
                messages=[
                    *([{"role": "system", "content": request.system}] if request.system else []),
                    {"role": "user", "content": request.prompt},
                ],  # type: ignore[arg-type]
            )
            text = answer.choices[0].message.content
        except OpenAIError as error:
            raise self._failed(f"{type(error).__name__}: {error}") from error
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise self._failed(f"its answer is no chat completion ({error})") from error
        if text is None:
            raise self._failed("its answer has no text")
        return ChatReply(
            text=text,
            model=answer.model or settings.model,
            input_tokens=answer.usage.prompt_tokens if answer.usage else 0,
            output_tokens=answer.usage.completion_tokens if answer.usage else 0,
            simulated=False,
        )

    async def close(self) -> None:
        """Ends the connections."""
        if self._client is not None:
            await self._client.close()

    def _failed(self, what: str) -> ProviderFailed:
        key = os.environ.get(self._settings.api_key_env, "") if self._settings.api_key_env else ""
        return ProviderFailed(
            f"provider {self._settings.name} failed: " + (what.replace(key, "…") if key else what),
            subject=self._settings.name,
            remedy=f"Check {self._settings.base_url or 'the endpoint'}, the model and the key",
        )
