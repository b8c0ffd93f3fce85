"""Speech or not, every 32 ms: Silero VAD, one shared model, a small state for each stream."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples
from assistant.inference.batcher import Batcher

CHUNK = 512
"""Samples per decision (32 ms)."""
_CONTEXT = 64
_RATE = np.array(SAMPLE_RATE, dtype=np.int64)


@dataclass(slots=True)
class VadState:
    """What one stream carries from chunk to chunk."""

    memory: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, 128), dtype=np.float32))
    context: Samples = field(default_factory=lambda: np.zeros(_CONTEXT, dtype=np.float32))


class Vad:
    """The shared model; streams are batched by the batcher."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def probability(self, state: VadState, chunk: Samples) -> float:
        """Probability that `chunk` (512 samples at 16 kHz) holds speech; moves `state` on."""
        row = {"input": np.concatenate([state.context, chunk]), "state": state.memory, "sr": _RATE}
        outputs = await self._batcher.run(row, budget_s=30.0)
        state.context = chunk[-_CONTEXT:]
        state.memory = outputs["stateN"]
        return float(outputs["output"].reshape(-1)[0])
