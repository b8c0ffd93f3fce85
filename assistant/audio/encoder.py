"""The stem of every reading of a voice: one pass from samples to hidden states, shared by what reads them."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.arrays import Floats32
from assistant.audio.pcm import Samples
from assistant.errors import ModelInvalid
from assistant.inference.batcher import Batcher


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """What the stem gave for one stretch of speech, 50 frames a second."""

    states: Floats32
    """Hidden states of each layer, [frames, layers, width]."""
    loudness: Floats32
    """The frame's loudest band less the clip's loudest, at most 0, in units of four decades of power: [frames]."""


class Encoder:
    """Runs the stem. What it gives is no estimate yet: who may read it further is for its callers to ask."""

    def __init__(self, batcher: Batcher) -> None:
        """Raises `ModelInvalid` for a model that is no stem."""
        self.card = batcher.model.card
        self._batcher = batcher
        try:
            self.shortest = int(self.card.data["min_samples"])
            self.longest = int(self.card.data["max_samples"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelInvalid(f"{self.card.folder} is no stem: its card lacks {error}") from error
        missing = sorted({"states", "loudness"} - set(self.card.outputs))
        if missing:
            raise ModelInvalid(f"{self.card.folder} is no stem: it gives no {', '.join(missing)}")

    async def encode(self, speech: Samples, *, budget_s: float = 5.0) -> States:
        """Encode `shortest` to `longest` samples at 16 kHz.

        Raises `Busy` when there is no result in `budget_s` seconds.
        """
        row = await self._batcher.run({"audio": speech}, budget_s=budget_s)
        return States(row["states"], row["loudness"])
