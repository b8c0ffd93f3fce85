"""Audio files to samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples
from assistant.errors import Invalid


def read_audio(file: Path, *, start_s: float = 0.0, end_s: float | None = None) -> Samples:
    """Read any file that libsndfile reads: channels averaged, resampled to 16 kHz, cut to [start_s, end_s).

    Raises `Invalid`: `file_missing`, `audio_unreadable`, `audio_empty` or `audio_not_finite`.
    """
    if not file.is_file():
        raise Invalid(f"there is no file {file}", code="file_missing")
    try:
        with soundfile.SoundFile(file) as opened:
            rate = opened.samplerate
            opened.seek(min(round(start_s * rate), opened.frames))
            wanted = -1 if end_s is None else max(0, round((end_s - start_s) * rate))
            read = opened.read(wanted, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, ValueError) as error:
        raise Invalid(f"{file} is no audio that can be read: {error}", code="audio_unreadable") from error
    samples: Samples = read.mean(axis=1, dtype=np.float32)
    if not len(samples):
        raise Invalid(f"{file} holds no audio between {start_s} and {end_s or 'its end'} s", code="audio_empty")
    if not np.isfinite(samples).all():
        raise Invalid(f"{file} holds samples that are not numbers", code="audio_not_finite")
    if rate != SAMPLE_RATE:
        samples = np.asarray(soxr.resample(samples, rate, SAMPLE_RATE), dtype=np.float32)
    return samples
