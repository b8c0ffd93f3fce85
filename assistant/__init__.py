"""Attune: an emotion-aware assistant backend that asks first.

>>> from assistant import read_text
>>> reading = read_text("What a lovely evening, thank you all so much!")
>>> max(reading.emotions, key=reading.emotions.get)
'joy'
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from assistant.version import __version__

if TYPE_CHECKING:  # importing the package stays cheap: what reads is loaded by the first reading
    from typing import Any

    import numpy as np

    from assistant.emotion import Abstention, Reading

__all__ = ["__version__", "read_text", "read_voice"]


def read_voice(
    clip: str | Path | bytes | np.ndarray[Any, Any],
    rate: int | None = None,
    *,
    channel: int | None = None,
    model: str | Path = "voice",
    models: str | Path | None = None,
) -> Reading | Abstention:
    """Estimate what one recording of speech expresses, with the model and the code that the server runs.

    `clip` is the path of an audio file, its content, or an array [samples] or [samples, channels] with its `rate`
    in Hz; at most 600 s. `channel` counts from 1 (left); without it the channels are averaged. `model` names a
    folder inside `models` (the shipped ones: `voice`, `voice-open`); a `Path` is a model's folder itself. An
    `Abstention` says why there is no estimate (`reason`: `too_quiet`, `not_speech`, ...). The model is opened anew
    for every call: for many recordings use `assistant evaluate voice`.

    Raises `assistant.errors.AssistantError` with a stable `code`: `file_missing`, `audio_unreadable`,
    `audio_empty`, `audio_not_finite`, `audio_too_long`, `audio_channel_missing`, `audio_channels_cancel`,
    `rate_missing`, `model_missing`, `model_invalid`.
    """
    from assistant.evaluate.run.worker import read_one_voice

    return read_one_voice(clip, rate, channel=channel, model=model, models=None if models is None else Path(models))


def read_text(text: str, *, model: str | Path = "text", models: str | Path | None = None) -> Reading | Abstention:
    """Estimate what one English text expresses, with the model and the code that the server runs.

    `model` and `models` are as in `read_voice`. An `Abstention` says why there is no estimate (`reason`: `empty`,
    `other_language`, `code`, `random_characters`). The model is opened anew for every call: for many texts use
    `assistant evaluate text`. Raises `assistant.errors.ModelInvalid` (`model_missing`, `model_invalid`).
    """
    from assistant.evaluate.run.worker import read_one_text

    return read_one_text(text, model=model, models=None if models is None else Path(models))
