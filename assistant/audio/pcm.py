"""PCM samples: converting, G.711, level and clipping, and a tape of the latest ones of a stream."""

from __future__ import annotations

import numpy as np

from assistant.arrays import Floats32
from assistant.audio import SAMPLE_RATE
from assistant.errors import Invalid

Samples = Floats32
"""Mono audio in [-1, 1], shape [samples]."""


def from_pcm16(data: bytes) -> Samples:
    """Decode little-endian signed 16-bit samples. Raises `Invalid` with code `odd_length_audio`.

    >>> from_pcm16(b"\\x00\\x40\\x00\\xc0").tolist()
    [0.5, -0.5]
    >>> from_pcm16(b"\\x00")
    Traceback (most recent call last):
    assistant.errors.Invalid: PCM16 audio has two bytes per sample; this frame has 1
    """
    if len(data) % 2:
        raise Invalid(f"PCM16 audio has two bytes per sample; this frame has {len(data)}", code="odd_length_audio")
    return np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32768.0)


def to_pcm16(samples: Samples) -> bytes:
    """Encode samples as little-endian signed 16-bit; samples beyond full scale are clipped.

    >>> to_pcm16(np.array([0.5, -2.0], dtype=np.float32)).hex()
    '00400080'
    """
    return np.clip(np.round(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()


def level_db(samples: Samples) -> float:
    """Root mean square in dB relative to full scale; -120 for silence.

    >>> round(level_db(np.full(100, 0.1, dtype=np.float32)))
    -20
    """
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return 10 * float(np.log10(max(power, 1e-12)))


def clipped_share(samples: Samples) -> float:
    """Share of the samples within 1 % of the loudest one: high if a recording is distorted by clipping.

    >>> wave = np.sin(np.linspace(0, 60, 4000)).astype(np.float32)
    >>> clipped_share(wave) < 0.1, clipped_share(np.clip(wave, -0.5, 0.5)) > 0.5
    (True, True)
    """
    top = float(np.abs(samples).max(initial=0.0))
    return float(np.mean(np.abs(samples) >= 0.99 * top)) if top else 0.0


Table = Floats32
"""The value of each of the 256 codes; full scale is 1; shape [256]."""


def ulaw_value(code: int) -> int:
    """The value of a mu-law code, in steps of 1/8192 (ITU-T G.711, table 2; every bit is sent inverted).

    A code is a sign (0 in the inverted code is positive), a segment of 3 bits, each twice as wide as the one
    before, and 4 bits inside it.

    >>> ulaw_value(0x80), ulaw_value(0x00), ulaw_value(0xFF), ulaw_value(0xF0)
    (8031, -8031, 0, 30)
    """
    plain = code ^ 0xFF
    segment, step = plain >> 4 & 0x7, plain & 0xF
    size = ((2 * step + 33) << segment) - 33
    return -size if plain & 0x80 else size


def alaw_value(code: int) -> int:
    """The value of an A-law code, in steps of 1/4096 (ITU-T G.711, table 1; even bits are sent inverted).

    Like mu-law, but a sign of 1 is positive, and the first two segments are equally wide.

    >>> alaw_value(0xAA), alaw_value(0x2A), alaw_value(0xD5), alaw_value(0x55)
    (4032, -4032, 1, -1)
    """
    plain = code ^ 0x55
    segment, step = plain >> 4 & 0x7, plain & 0xF
    size = 2 * step + 1 if segment == 0 else (2 * step + 33) << (segment - 1)
    return size if plain & 0x80 else -size


ULAW: Table = np.array([ulaw_value(code) / 8192 for code in range(256)], dtype=np.float32)
ALAW: Table = np.array([alaw_value(code) / 4096 for code in range(256)], dtype=np.float32)


def expand(data: bytes, table: Table) -> Samples:
    """Decode companded bytes, one sample per byte.

    >>> expand(bytes([0xFF, 0x80]), ULAW).round(3).tolist()
    [0.0, 0.980...]
    """
    samples: Samples = table[np.frombuffer(data, dtype=np.uint8)]
    return samples


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
