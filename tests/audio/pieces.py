"""Audio that arrives in pieces."""

from __future__ import annotations

import io
from collections.abc import Iterable

import numpy as np

from assistant.audio.intake import AudioFormat, Intake


def hear_pieces(form: AudioFormat, data: bytes, sizes: Iterable[int]) -> np.ndarray:
    """What an intake hears of data that comes in pieces of these sizes."""
    intake, parts = Intake(form), []
    pieces = io.BytesIO(data)
    for size in sizes:
        piece = pieces.read(size)
        if not piece:
            break
        parts.append(intake.decode(piece))
    return np.concatenate([*parts, intake.flush()])
