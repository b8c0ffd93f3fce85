"""The stem: one pass from samples to hidden states, shared by the voice reader and the transcriber."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.arrays import Floats32
from assistant.audio.pcm import Samples
from assistant.errors import ModelInvalid
from assistant.inference.batcher import Batcher


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Output of the stem for one stretch of speech, 50 frames per second."""

    states: Floats32
    """Hidden states of each layer, [frames, layers, width]."""
    loudness: Floats32
    """Loudest band of each frame relative to that of the clip, at most 0; unit: four decades of power. [frames]."""


class Encoder:
    """Runs the stem. Its output is not an estimate yet; callers check consent before they read more from it."""

    def __init__(self, batcher: Batcher) -> None:
        """Raises `ModelInvalid` for a model that is not a stem."""
        self.card = batcher.model.card
        self._batcher = batcher
        try:
            self.shortest = int(self.card.data["min_samples"])
            self.longest = int(self.card.data["max_samples"])
        except (KeyError, TypeError, ValueError) as error:
            raise ModelInvalid(f"{self.card.folder} is not a stem: its card lacks {error}") from error
        missing = sorted({"states", "loudness"} - set(self.card.outputs))
        if missing:
            raise ModelInvalid(f"{self.card.folder} is not a stem: it has no output {', '.join(missing)}")

    async def encode(self, speech: Samples, *, budget_s: float = 5.0) -> States:
        """Encode `shortest` to `longest` samples at 16 kHz.

        Raises `Busy` when there is no result in `budget_s` seconds.
        """
        row = await self._batcher.run({"audio": speech}, budget_s=budget_s)
        return States(row["states"], row["loudness"])
