"""PCM samples: converting, level and clipping."""

from __future__ import annotations

import numpy as np

from assistant.arrays import Floats32
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
