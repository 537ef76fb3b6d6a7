"""The simulated provider: says so in its name, its model and each answer. For demos and tests.

Answers, waits and failures are a pure function of the seed and the prompt.
"""

from __future__ import annotations

import asyncio
import hashlib
import random

from citadel.errors import ProviderFailed
from citadel.wire.messages import ProviderInfo
from engine.providers.chat import ChatReply, ChatRequest, ProviderSettings

EXCERPT_WORDS = 24
CHARACTERS_A_TOKEN = 4


class SimulatedProvider:
    """Echoes the beginning of the prompt's last paragraph."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._settings = settings
        self.info = ProviderInfo(name=settings.name, model="simulated", simulated=True)

    async def chat(self, request: ChatRequest) -> ChatReply:
        """Answers after a wait drawn from the prompt."""
        digest = hashlib.sha256(f"{self._settings.seed}\0{request.prompt}".encode()).digest()
        source = random.Random(digest)  # noqa: S311 - a simulation
        await asyncio.sleep(source.expovariate(1.0) * self._settings.latency_seconds)
        if source.random() < self._settings.failure_rate:
            raise ProviderFailed(
                f"provider {self._settings.name} failed, as its simulated failure_rate asks",
                subject=self._settings.name,
            )
        words = request.prompt.rsplit("\n\n", 1)[-1].split()
        excerpt = " ".join(words[:EXCERPT_WORDS]) + ("…" if len(words) > EXCERPT_WORDS else "")
        text = f"[simulated] {excerpt or 'nothing was asked'}"
        return ChatReply(
            text=text,
            model="simulated",
            input_tokens=-(-len(request.system + request.prompt) // CHARACTERS_A_TOKEN),
            output_tokens=-(-len(text) // CHARACTERS_A_TOKEN),
            simulated=True,
        )

    async def close(self) -> None:
        """Has nothing to end."""
