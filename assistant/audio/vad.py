"""Voice activity detection every 32 ms: Silero VAD, one shared model, a small state for each stream."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from assistant.arrays import Floats32
from assistant.audio.pcm import Samples
from assistant.inference.batcher import Batcher

CHUNK = 512
"""Samples per decision (32 ms)."""
CONTEXT = 64
"""Samples before each run that the model sees again."""
_BUDGET_S = 30.0


@dataclass(slots=True)
class VadState:
    """State of one stream between frames."""

    memory: Floats32 = field(default_factory=lambda: np.zeros((2, 128), dtype=np.float32))
    rest: Samples = field(default_factory=lambda: np.zeros(CONTEXT, dtype=np.float32))
    """The context, and samples that are not a whole chunk yet."""


class Vad:
    """The shared model; the frames of different streams are batched by the batcher."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def probabilities(self, state: VadState, samples: Samples) -> list[float]:
        """Probability of speech in each chunk that `samples` (16 kHz, any number) complete; updates `state`.

        Keep the number small, because all streams share the model. Raises what the model raises, and `Busy`; the
        chunks are then consumed without a result.
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
