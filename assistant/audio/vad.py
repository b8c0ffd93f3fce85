"""Speech or not, every 32 ms: Silero VAD, one shared model, a small state for each stream."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assistant.arrays import Floats32
from assistant.audio.pcm import Samples
from assistant.inference.batcher import Batcher

CHUNK = 512
"""Samples per decision (32 ms)."""
CONTEXT = 64
"""Samples before the first chunk that the model sees again."""
_BUDGET_S = 30.0


@dataclass(slots=True)
class VadState:
    """What one stream carries from frame to frame."""

    memory: Floats32 = field(default_factory=lambda: np.zeros((2, 128), dtype=np.float32))
    rest: Samples = field(default_factory=lambda: np.zeros(CONTEXT, dtype=np.float32))
    """The context, and what is not a whole chunk yet."""


class Vad:
    """The shared model; the frames of different streams are batched by the batcher."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def probabilities(self, state: VadState, samples: Samples) -> list[float]:
        """Probability of speech in each chunk that `samples` (at 16 kHz, any number) complete; moves `state` on.

        Keep the number small: the model is everybody's. Raises what the model raises, and `Busy`; the chunks have
        passed all the same.
        """
        waiting = np.concatenate((state.rest, samples))
        ends = (len(waiting) - CONTEXT) // CHUNK * CHUNK
        state.rest = waiting[ends:].copy()
        if not ends:
            return []
        row = {"samples": waiting[: ends + CONTEXT], "state": state.memory}
        outputs = await self._batcher.run(row, budget_s=_BUDGET_S)
        state.memory = outputs["renewed"]
        probabilities: list[float] = outputs["probabilities"].tolist()
        return probabilities
