"""Decodes G.711, the two companded codes of telephony."""

from __future__ import annotations

import numpy as np

from assistant.arrays import Floats32
from assistant.audio.pcm import Samples

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
