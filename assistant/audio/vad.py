"""Speech or not, every 32 ms: Silero VAD, one shared model, a small state for each stream."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples
from assistant.inference.batcher import Batcher
from assistant.inference.card import Port
from assistant.inference.model import Array, Model

CHUNK = 512
"""Samples per decision (32 ms)."""
_CONTEXT = 64
"""Samples of the chunk before that the model sees again."""
_RATE = np.array(SAMPLE_RATE, dtype=np.int64)
_BUDGET_S = 30.0


@dataclass(slots=True)
class VadState:
    """What one stream carries from frame to frame."""

    memory: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros((2, 128), dtype=np.float32))
    rest: Samples = field(default_factory=lambda: np.zeros(_CONTEXT, dtype=np.float32))
    """The context, and what is not a whole chunk yet."""


def stepping(model: Model) -> Model:
    """The model as one that takes several chunks of a stream at once, so that a frame is one row for the batcher.

    It still hears them one after the other; what it saves is the way through the event loop for each.
    """
    card = replace(
        model.card,
        inputs={
            "chunks": Port("float32", ("batch", "steps", _CONTEXT + CHUNK)),
            "state": Port("float32", (2, "batch", 128)),
        },
        outputs={
            "probabilities": Port("float32", ("batch", "steps")),
            "state": Port("float32", (2, "batch", 128)),
        },
    )
    return Model(card, _Steps(model))


class Vad:
    """The shared model, made by `stepping`; streams are batched by the batcher."""

    def __init__(self, batcher: Batcher) -> None:
        self._batcher = batcher

    async def probabilities(self, state: VadState, samples: Samples) -> list[float]:
        """Probability of speech in each chunk that `samples` (at 16 kHz, any number) complete; moves `state` on.

        Keep the number small: the model is everybody's. Raises what the model raises, and `Busy`; the chunks have
        passed all the same.
        """
        waiting = np.concatenate([state.rest, samples])
        count = (len(waiting) - _CONTEXT) // CHUNK
        state.rest = waiting[count * CHUNK :].copy()
        if not count:
            return []
        width = waiting.strides[0]
        chunks = np.lib.stride_tricks.as_strided(
            waiting, (count, _CONTEXT + CHUNK), (CHUNK * width, width), writeable=False
        )
        outputs = await self._batcher.run({"chunks": chunks, "state": state.memory}, budget_s=_BUDGET_S)
        state.memory = outputs["state"]
        probabilities: list[float] = outputs["probabilities"].tolist()
        return probabilities


class _Steps:
    """A session over a model that runs it once for each chunk, handing the state on."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def run(self, outputs: list[str] | None, inputs: dict[str, Array]) -> list[Array]:
        state, said = inputs["state"], []
        for chunk in np.ascontiguousarray(inputs["chunks"].swapaxes(0, 1)):
            given = self._model.run({"input": chunk, "state": state, "sr": _RATE})
            state = given["stateN"]
            said.append(given["output"][:, 0])
        return [np.stack(said, axis=1), state]

    def get_inputs(self) -> list[Any]:
        return []

    def get_outputs(self) -> list[Any]:
        return []
