"""Energy and pitch of a clip, in plain numpy: what a head on the stem has to beat."""

from __future__ import annotations

import numpy as np

from assistant.arrays import Floats32
from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples

_FRAME, _HOP = 640, 160
"""40 ms, every 10 ms."""
_LOWEST_HZ, _HIGHEST_HZ = 60.0, 500.0
_VOICED = 0.5
"""Autocorrelation, as a share of the energy, above which a frame has a pitch (as in Boersma 1993)."""
_SIZE = 2048
_BLOCK = 1000
"""Frames transformed at once."""
_LONGEST = 60 * SAMPLE_RATE
NAMES = (
    "level",
    "level_deviation",
    "level_range",
    "level_slope",
    "pitch",
    "pitch_deviation",
    "pitch_range",
    "pitch_slope",
    "voiced",
    "seconds",
)


def measure_prosody(speech: Samples) -> Floats32:
    """Level (log power), pitch (log Hz), share of voiced frames and log seconds of up to a minute, [len(NAMES)].

    Ranges are from the 5th to the 95th percentile; slopes are mean absolute changes from frame to frame.

    >>> t = np.arange(16_000) / 16_000
    >>> found = dict(zip(NAMES, measure_prosody(np.sin(2 * np.pi * 200 * t).astype(np.float32)), strict=True))
    >>> round(float(np.exp(found["pitch"]))), float(found["voiced"])
    (200, 1.0)
    """
    speech = np.asarray(speech[:_LONGEST], dtype=np.float32)
    if len(speech) < _FRAME:
        speech = np.pad(speech, (0, _FRAME - len(speech)))
    frames = np.lib.stride_tricks.sliding_window_view(speech, _FRAME)[::_HOP]
    pieces = [_measured(frames[at : at + _BLOCK]) for at in range(0, len(frames), _BLOCK)]
    level, pitch, strength = (np.concatenate(part) for part in zip(*pieces, strict=True))
    loud = level > level.max() - 7.0  # 30 dB of power
    voiced = loud & (strength > _VOICED)
    told = [*_summary(level[loud]), *_summary(pitch[voiced]), voiced.sum() / loud.sum()]
    return np.array([*told, np.log(len(speech) / SAMPLE_RATE)], dtype=np.float32)


def _measured(frames: Floats32) -> tuple[Floats32, Floats32, Floats32]:
    """Log power, log pitch and its strength of each frame."""
    window = np.hanning(_FRAME).astype(np.float32)
    centred = (frames - frames.mean(axis=1, keepdims=True)) * window
    power = np.abs(np.fft.rfft(centred, _SIZE, axis=1)) ** 2
    first, last = int(SAMPLE_RATE / _HIGHEST_HZ), int(SAMPLE_RATE / _LOWEST_HZ)
    echo = np.fft.irfft(power, axis=1)[:, : last + 2]
    fade = np.fft.irfft(np.abs(np.fft.rfft(window, _SIZE)) ** 2)[: last + 2]
    echo = echo / (fade / fade[0]) / (echo[:, :1] + 1e-9)
    lags = echo[:, first : last + 1]
    # the shortest lag that is nearly as good as the best: twice a period is as good as the period
    good = lags >= 0.9 * lags.max(axis=1, keepdims=True)
    peak = good & (lags >= echo[:, first - 1 : last]) & (lags >= echo[:, first + 1 : last + 2])
    best = np.where(peak.any(axis=1), peak.argmax(axis=1), lags.argmax(axis=1))
    strength = lags[np.arange(len(lags)), best]
    level = np.log((frames.astype(np.float64) ** 2).mean(axis=1) + 1e-10)
    return level, np.log(SAMPLE_RATE / (best + first)), strength


def _summary(values: Floats32) -> tuple[float, float, float, float]:
    if len(values) < 2:
        return (float(values.mean()) if len(values) else 0.0), 0.0, 0.0, 0.0
    low, high = np.percentile(values, [5, 95])
    slope = np.abs(np.diff(values)).mean()
    return float(values.mean()), float(values.std()), float(high - low), float(slope)
