"""What happens to a voice on its way: telephones, codecs, rooms, noise, clipping. Used to train and to measure.

All functions take and give samples at 16 kHz, [samples], of the same length where nothing else is said.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import fftconvolve, resample

from scripts.voice.whisper_encoder import RATE

Array = np.ndarray


def at_speed(audio: Array, factor: float) -> Array:
    """Played faster (above 1) or slower: tempo and pitch change together, as with another, smaller speaker."""
    return np.asarray(resample(audio, round(len(audio) / factor)))


def band_passed(audio: Array, low: float = 300.0, high: float = 3_400.0) -> Array:
    """Only the frequencies (Hz) that a telephone lets through."""
    spectrum, frequency = np.fft.rfft(audio), np.fft.rfftfreq(len(audio), 1 / RATE)
    spectrum[(frequency < low) | (frequency > high)] = 0
    return np.asarray(np.fft.irfft(spectrum, len(audio)))


def telephone(audio: Array) -> Array:
    """8 kHz in mu-law with 8 bits, the formula of ITU-T G.711, and back."""
    narrow = np.clip(resample(audio, len(audio) // 2), -1, 1)
    pressed = np.sign(narrow) * np.log1p(255 * np.abs(narrow)) / np.log1p(255)
    pressed = np.round(pressed * 127) / 127
    wide = np.sign(pressed) * (256 ** np.abs(pressed) - 1) / 255
    return np.asarray(resample(wide, len(audio)))


def opus(audio: Array, kbit_s: float = 16.0) -> Array:
    """Coded with Opus and back. libsndfile maps its compression level onto 256 to 6 kbit/s."""
    file = io.BytesIO()
    level = 1 - (kbit_s - 6) / 250
    soundfile.write(file, audio.astype(np.float32), RATE, format="OGG", subtype="OPUS", compression_level=level)
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float32")[0][: len(audio)])


def in_a_room(audio: Array, seconds: float, share: float, random: np.random.Generator) -> Array:
    """With an echo that falls by 60 dB in `seconds` and has `share` of the voice's amplitude."""
    size = int(seconds * RATE)
    echo = random.normal(size=size) * 10 ** (-3 * np.arange(size) / size)
    echo *= share / np.sqrt(np.sum(echo**2))
    echo[0] = 1
    return np.asarray(fftconvolve(audio, echo)[: len(audio)])


def with_noise(audio: Array, noise: Array, decibels: float) -> Array:
    """With `noise` [samples] added so that the speech is `decibels` louder; pauses do not count as speech."""
    loud = np.abs(audio) > 0.03 * np.abs(audio).max()
    level = np.sqrt(np.mean(audio[loud] ** 2)) if loud.any() else 1e-3
    return np.asarray(audio + noise * (level / (np.sqrt(np.mean(noise**2)) + 1e-9)) * 10 ** (-decibels / 20))


def clipped(audio: Array, share: float) -> Array:
    """With the loudest `share` of the samples cut off."""
    top = np.quantile(np.abs(audio), 1 - share)
    return np.clip(audio, -top, top)


def pink(samples: int, random: np.random.Generator) -> Array:
    """Noise whose power falls with frequency, like a room's."""
    spectrum = np.fft.rfft(random.normal(size=samples))
    return np.asarray(np.fft.irfft(spectrum / np.sqrt(np.arange(len(spectrum)) + 1), samples))


class Surroundings:
    """Noises to train with: a kitchen, a murmur of many voices, pink and white. The others are kept for testing."""

    def __init__(self, data: Path) -> None:
        self.kitchen = soundfile.read(data / "noise/picovoice_kitchen/audio/kitchen.ogg", dtype="float32")[0]
        self.murmur = _murmur(sorted((data / "speech/picovoice_s2i/audio").iterdir()))

    def take(self, samples: int, random: np.random.Generator) -> Array:
        """A stretch of one of them."""
        kind = random.random()
        if kind < 0.25:
            return pink(samples, random)
        if kind < 0.4:
            return np.asarray(random.normal(size=samples))
        source = self.kitchen if kind < 0.8 else self.murmur
        start = random.integers(0, len(source) - samples)
        return np.asarray(source[start : start + samples])

    def quiet(self, samples: int, random: np.random.Generator) -> Array:
        """A stretch of one of them in which nobody speaks, not even far away."""
        if random.random() < 0.5:
            return pink(samples, random) if random.random() < 0.5 else np.asarray(random.normal(size=samples))
        start = random.integers(0, len(self.kitchen) - samples)
        return np.asarray(self.kitchen[start : start + samples])


def _murmur(files: list[Path], voices: int = 6, seconds: int = 60) -> Array:
    random, sum_ = np.random.default_rng(5), np.zeros(seconds * RATE)
    for _ in range(voices):
        at = 0
        while at < len(sum_):
            part = soundfile.read(files[random.integers(len(files))], dtype="float32")[0][: len(sum_) - at]
            sum_[at : at + len(part)] += part / (np.std(part) + 1e-6)
            at += len(part)
    return sum_


def disturbed(audio: Array, around: Surroundings, random: np.random.Generator) -> Array:
    """A copy as a worse microphone, room or line would give it, often of a made-up other speaker too."""
    if random.random() < 0.6:
        audio = at_speed(audio, random.uniform(0.86, 1.16))
    audio = np.pad(audio, (random.integers(0, 4_000), random.integers(0, 6_000)))
    if random.random() < 0.3:
        audio = in_a_room(audio, random.uniform(0.15, 0.6), random.uniform(0.05, 0.5), random)
    if random.random() < 0.75:
        audio = with_noise(audio, around.take(len(audio), random), random.uniform(3, 30))
    line = random.random()
    if line < 0.2:
        audio = telephone(audio)
    elif line < 0.35:
        audio = opus(audio, random.choice([12, 16, 24]))
    elif line < 0.45:
        audio = band_passed(audio)
    if random.random() < 0.12:
        audio = clipped(audio, random.uniform(0.005, 0.05))
    return np.asarray(audio)
