"""All providers of an engine; the first one answers. Each request is a `gen_ai` client span."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import urlsplit

from citadel import semconv
from citadel.trace import SpanContext
from citadel.vocabulary import KIND_CLIENT
from citadel.wire.messages import ProviderInfo
from engine.providers.chat import ChatProvider, ChatReply, ChatRequest, ProviderSettings
from engine.providers.openai_compatible import DEFAULT_URL, OpenAICompatibleProvider
from engine.providers.simulated import SimulatedProvider
from engine.telemetry.recorder import Recorder, Span


def made(settings: ProviderSettings) -> ChatProvider:
    """The provider of some settings."""
    if settings.kind == "openai":
        return OpenAICompatibleProvider(settings)
    return SimulatedProvider(settings)


class Providers:
    """Asks, and records what was asked of whom; prompts and answers themselves are not recorded."""

    def __init__(self, settings: Sequence[ProviderSettings], recorder: Recorder) -> None:
        self._providers = [made(each) for each in settings or (ProviderSettings(),)]
        self._servers = [_server(each) for each in settings or (ProviderSettings(),)]
        self._recorder = recorder

    @property
    def info(self) -> tuple[ProviderInfo, ...]:
        """What there is, the one that answers first."""
        return tuple(provider.info for provider in self._providers)

    async def chat(
        self, request: ChatRequest, parent: Span | SpanContext | None = None
    ) -> ChatReply:
        """Asks the first provider.

        Raises:
            ProviderFailed: see ChatProvider.
        """
        provider = self._providers[0]
        info = provider.info
        attributes = {
            semconv.GEN_AI_OPERATION_NAME: semconv.CHAT,
            semconv.GEN_AI_PROVIDER_NAME: info.name,
            semconv.GEN_AI_REQUEST_MODEL: info.model,
            semconv.GEN_AI_REQUEST_MAX_TOKENS: request.max_tokens,
            semconv.CITADEL_SIMULATED: info.simulated,
            **self._servers[0],
        }
        began = time.perf_counter()
        outcome = "failed"
        with self._recorder.span(
            f"{semconv.CHAT} {info.model}",
            parent=parent if parent is not None else self._recorder.current(),
            kind=KIND_CLIENT,
            source="provider",
            service=info.name,
            attributes=attributes,
        ) as span:
            try:
                reply = await provider.chat(_traced(request, span))
                outcome = "answered"
            except asyncio.CancelledError:
                outcome = "cancelled"
                raise
            except Exception as error:
                self._recorder.event(
                    "provider.failed", subject=info.name, severity="warning", message=str(error)
                )
                raise
            finally:
                took = time.perf_counter() - began
                self._recorder.observe("citadel.provider.duration", took, info.name)
                self._recorder.count(
                    "citadel.provider.requests", provider=info.name, outcome=outcome
                )
            self._record(info.name, span, reply)
        return reply

    def _record(self, provider: str, span: Span, reply: ChatReply) -> None:
        span.set(semconv.GEN_AI_RESPONSE_MODEL, reply.model)
        span.set(semconv.GEN_AI_RESPONSE_FINISH_REASONS, [reply.finish_reason])
        span.set(semconv.GEN_AI_USAGE_INPUT_TOKENS, reply.input_tokens)
        span.set(semconv.GEN_AI_USAGE_OUTPUT_TOKENS, reply.output_tokens)
        for direction, tokens in (("input", reply.input_tokens), ("output", reply.output_tokens)):
            self._recorder.count(
                "citadel.provider.tokens", tokens, provider=provider, direction=direction
            )

    async def close(self) -> None:
        """Ends all connections."""
        for provider in self._providers:
            await provider.close()


def _traced(request: ChatRequest, span: Span) -> ChatRequest:
    """The request with the headers that let the endpoint's spans be of the same trace."""
    leaving = span.outward()
    return replace(request, traceparent=leaving.traceparent(), tracestate=leaving.trace_state)


def _server(settings: ProviderSettings) -> dict[str, str | int]:
    """Where a provider is, as attributes; the simulated one is nowhere."""
    if settings.kind != "openai":
        return {}
    url = urlsplit(settings.base_url or DEFAULT_URL)
    port = url.port or (80 if url.scheme == "http" else 443)
    return {semconv.SERVER_ADDRESS: url.hostname or "", semconv.SERVER_PORT: port}
