"""One recording or one text through the served reader: behind `assistant.read_voice` and `assistant.read_text`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from assistant.audio.decode import convert_samples, read_audio
from assistant.config import shipped_models
from assistant.emotion import Abstention, Reading
from assistant.errors import Invalid
from assistant.evaluate.figures.tasks import Scores
from assistant.evaluate.run.foreign_card import is_foreign
from assistant.evaluate.run.worker import Heard, Modality, find_stem, open_reader
from assistant.evaluate.tables.manifest import Row
from assistant.inference.model import open_model


def read_one_voice(
    clip: str | Path | bytes | np.ndarray[Any, Any], rate: int | None, *, model: str | Path, models: Path | None
) -> Reading | Abstention:
    """Read one recording; see `assistant.read_voice`."""
    if isinstance(clip, np.ndarray):
        if rate is None:
            raise Invalid("give the rate of an array, in Hz", code="rate_missing")
        samples = convert_samples(clip, rate)
    else:
        samples = read_audio(Path(clip) if isinstance(clip, str) else clip)
    return _read("voice", Heard(Row(line=1, name=""), samples), model, models)


def read_one_text(text: str, *, model: str | Path, models: Path | None) -> Reading | Abstention:
    """Read one text; see `assistant.read_text`."""
    return _read("text", Heard(Row(line=1, name="", text=text)), model, models)


def _read(modality: Modality, heard: Heard, model: str | Path, models: Path | None) -> Reading | Abstention:
    opened = open_model(model if isinstance(model, Path) else (models or shipped_models()) / model)
    needs_stem = modality == "voice" and not is_foreign(opened.card)
    _, read = open_reader(opened, modality, open_model(find_stem(opened.card)) if needs_stem else None)
    found = _run(read(heard))
    return found if isinstance(found, Abstention) else found.reading()


def _run(reading: Awaitable[Scores | Abstention]) -> Scores | Abstention:
    """Wait in a thread of its own: the caller may be inside an event loop, as notebooks are."""

    async def wait() -> Scores | Abstention:
        return await reading

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, wait()).result()
