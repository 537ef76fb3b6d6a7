"""All providers of an engine; the first one answers. Each request is a `gen_ai` client span."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace

from citadel.trace import SpanContext
from citadel.vocabulary import KIND_CLIENT
from citadel.wire.messages import ProviderInfo
from engine.providers.chat import ChatProvider, ChatReply, ChatRequest, ProviderSettings
from engine.providers.openai_compatible import OpenAICompatibleProvider
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
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": info.name,
            "gen_ai.request.model": info.model,
            "gen_ai.request.max_tokens": request.max_tokens,
            "citadel.simulated": info.simulated,
        }
        began = time.perf_counter()
        outcome = "failed"
        with self._recorder.span(
            f"chat {info.model}",
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
        span.set("gen_ai.response.model", reply.model)
        span.set("gen_ai.response.finish_reasons", reply.finish_reason)
        span.set("gen_ai.usage.input_tokens", reply.input_tokens)
        span.set("gen_ai.usage.output_tokens", reply.output_tokens)
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
