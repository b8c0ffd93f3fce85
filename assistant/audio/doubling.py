"""Twice the sampling rate, with next to no delay."""

from __future__ import annotations

import numpy as np

from assistant.audio.pcm import Samples

_REACH = 16
"""Samples on each side that a new one is made from."""
_AWAY = np.arange(_REACH, -_REACH, -1) - 0.5
"""How many samples away each of them is."""
_KERNEL = np.sinc(_AWAY) * np.i0(5.65 * np.sqrt(1 - (_AWAY / _REACH) ** 2))
_TAPS = (_KERNEL / _KERNEL.sum()).astype(np.float32)
_SILENCE: Samples = np.zeros(_REACH - 1, dtype=np.float32)
"""Before the first sample."""


class Doubler:
    """Puts a sample in the middle between each two, by a windowed sinc (Kaiser, 60 dB); keeps those that are there.

    It waits for 16 samples: 2 ms at 8 kHz. A stream of soxr, which has the same methods, waits up to 115 ms there.
    Up to 3.5 kHz nothing is lost at that rate, which is more than telephones carry.

    >>> doubler, ones = Doubler(), np.ones(40, dtype=np.float32)
    >>> first, rest = doubler.resample_chunk(ones), doubler.resample_chunk(ones[:0], last=True)
    >>> len(first), len(rest), first[40:48].round(2).tolist()
    (48, 32, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0])
    """

    def __init__(self) -> None:
        self._known = _SILENCE

    def resample_chunk(self, samples: Samples, last: bool = False) -> Samples:
        """Twice as many, less those that wait; with `last` all of them."""
        after = np.zeros(_REACH if last else 0, dtype=np.float32)
        known = np.concatenate([self._known, samples, after])
        count = max(0, len(known) - 2 * _REACH + 1)
        doubled = np.empty(2 * count, dtype=np.float32)
        if count:
            doubled[0::2] = known[_REACH - 1 : _REACH - 1 + count]
            doubled[1::2] = np.convolve(known, _TAPS, "valid")
        self._known = known[count:]
        return doubled

    def clear(self) -> None:
        """Begin anew."""
        self._known = _SILENCE
