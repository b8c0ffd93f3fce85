"""Which channel of a recording is heard, and channels that cancel each other out when they are mixed."""

from __future__ import annotations

import numpy as np

from assistant.arrays import Floats, Floats32
from assistant.audio.pcm import Samples
from assistant.errors import Invalid

NAMES = {"left": 1, "l": 1, "a": 1, "right": 2, "r": 2, "b": 2, "mix": None, "mono": None, "both": None}
"""Names of channels, by their number from 1; None mixes all."""
_LEAST_LEFT = 0.1
"""Channels cancel out if mixing leaves less than this share of the energy that unrelated channels would have."""


def parse_channel(written: str) -> int | None:
    """A channel by its name or number; None for the mix of all. Raises `ValueError`.

    >>> [parse_channel(name) for name in ("left", "Right", "mix", "3", "2.0")]
    [1, 2, None, 3, 2]
    """
    plain = written.strip().casefold()
    if plain in NAMES:
        return NAMES[plain]
    number = plain.removesuffix(".0")  # tables of floats write `1` as `1.0`
    if number.isdecimal() and 1 <= int(number[:9]) <= 1024:
        return int(number[:9])
    raise ValueError(f"no channel is called {written.strip()[:40]!r}: left, right, mix, or a number from 1 (left)")


class Downmix:
    """Makes one channel of many, block after block: the one with that number from 1, else their mean.

    >>> Downmix().add(np.array([[1, 0], [0.5, 0]], dtype=np.float32)).tolist()
    [0.5, 0.25]
    >>> Downmix(2).add(np.array([[1, 0], [0.5, 0]], dtype=np.float32)).tolist()
    [0.0, 0.0]
    """

    def __init__(self, channel: int | None = None, name: str = "the recording") -> None:
        self._channel, self._name = channel, name
        self._each: Floats = np.zeros(0)
        """Energy of each channel."""
        self._mixed = 0.0
        """Energy of their mean."""

    def add(self, block: Floats32) -> Samples:
        """One channel of a block, [samples, channels]. Raises `Invalid` (`audio_channel_missing`)."""
        count = block.shape[1]
        if self._channel is not None:
            if self._channel > count:
                channels = f"{count} channel{'s' * (count > 1)}"
                why = f"{self._name} has {channels}, and channel {self._channel} was asked for"
                raise Invalid(why, code="audio_channel_missing")
            return np.ascontiguousarray(block[:, self._channel - 1])
        mixed: Samples = block.mean(axis=1, dtype=np.float32)
        if count > 1:
            each = np.einsum("sc,sc->c", block, block, dtype=np.float64)
            self._each = each if len(self._each) != count else self._each + each
            self._mixed += float(np.dot(mixed, mixed))
        return mixed

    def check(self) -> None:
        """Raise `Invalid` (`audio_channels_cancel`) if the channels added so far cancelled each other out."""
        if cancels_out(self._mixed, self._each):
            raise Invalid(
                f"the channels of {self._name} cancel each other out when they are mixed, as when one is inverted: "
                "choose one with --channel left or a column `channel` (in Python channel=1)",
                code="audio_channels_cancel",
            )


def cancels_out(mixed: float, each: Floats) -> bool:
    """Whether the energy of a mix is far below what channels of such energies leave if they are unrelated.

    >>> cancels_out(0.5, np.array([1.0, 1.0])), cancels_out(0.01, np.array([1.0, 1.0]))
    (False, True)
    >>> cancels_out(0.25, np.array([1.0, 0.0])), cancels_out(0.0, np.zeros(2))
    (False, False)
    """
    return len(each) > 1 and mixed < _LEAST_LEFT * float(each.sum()) / len(each) ** 2
