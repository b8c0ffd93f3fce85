"""The latest audio of a stream, in memory, by position; forgotten audio is overwritten with zeros."""

from __future__ import annotations

import numpy as np

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples

_SMALL = 2 * SAMPLE_RATE
"""Smallest buffer, in samples."""
_SPARE = 3 * _SMALL
"""Most unused samples in the buffer."""


class Tape:
    """Samples from position `start` to `end`, both counted from the start of the stream.

    The buffer grows and shrinks with what it holds. Its owner limits that by calling `forget`.

    >>> tape = Tape()
    >>> tape.append(np.array([1, 2, 3, 4], dtype=np.float32))
    >>> tape.forget(2)
    >>> tape.read(0, 3).tolist(), tape.start, tape.end
    ([3.0], 2, 4)
    """

    def __init__(self) -> None:
        self._data: Samples = np.zeros(_SMALL, dtype=np.float32)
        self._origin = 0
        """Position of the first element of the data."""
        self.start = 0
        self.end = 0

    def __len__(self) -> int:
        return self.end - self.start

    def append(self, samples: Samples) -> None:
        """Add samples at the end."""
        if self.end - self._origin + len(samples) > len(self._data):
            self._make_room(len(samples))
        at = self.end - self._origin
        self._data[at : at + len(samples)] = samples
        self.end += len(samples)

    def skip(self, count: int) -> None:
        """Move the end by `count` samples without storing them, and forget everything before."""
        self.forget(self.end)
        self.end += count
        self.start = self._origin = self.end

    def read(self, start: int, end: int) -> Samples:
        """A copy of the stored samples between two positions; may be empty."""
        start, end = max(start, self.start), min(end, self.end)
        return self._data[start - self._origin : max(start, end) - self._origin].copy()

    def forget(self, before: int) -> None:
        """Overwrite everything before a position with zeros."""
        before = min(before, self.end)
        if before > self.start:
            self._data[self.start - self._origin : before - self._origin] = 0.0
            self.start = before
            if len(self._data) > len(self) + _SPARE:
                self._make_room(0)

    def _make_room(self, more: int) -> None:
        kept = len(self)
        # with room for a second or more, so that copies are rare
        size = _SMALL * -(-(kept + more + _SMALL // 2) // _SMALL)
        data = self._data if size == len(self._data) else np.zeros(size, dtype=np.float32)
        live = self._data[self.start - self._origin : self.end - self._origin]
        data[:kept] = live.copy() if data is self._data else live
        if data is self._data:
            data[kept : self.end - self._origin] = 0.0
        self._data, self._origin = data, self.start
