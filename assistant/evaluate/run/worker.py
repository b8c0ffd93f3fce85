"""One worker of a run, its own reader over shared graphs; and single recordings and texts through that reader."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from assistant.audio import SAMPLE_RATE
from assistant.audio.decode import convert_samples, read_audio
from assistant.audio.encoder import Encoder
from assistant.audio.pcm import Samples
from assistant.audio.voice import VoiceReader
from assistant.config import shipped_models
from assistant.consent.grant import EvaluationGate
from assistant.emotion import Abstention, Reading
from assistant.errors import Busy, ConsentRequired, Invalid, ModelInvalid
from assistant.evaluate.figures.tasks import Scores
from assistant.evaluate.run.foreign import ForeignText, ForeignVoice
from assistant.evaluate.run.foreign_card import is_foreign
from assistant.evaluate.run.outcomes import LineOutcome
from assistant.evaluate.tables.rows import Row, read_clip
from assistant.inference.batcher import MAX_ELEMENTS, Batcher
from assistant.inference.card import Card, stem_of
from assistant.inference.model import Model, open_model
from assistant.text.reader import BATCH_ELEMENTS, TextReader, TextScores

Disturb = Callable[[Row, Samples], Samples]
"""What happens to a row's samples before the reader hears them."""
Modality = Literal["voice", "text"]

PIECE = {"voice": 8, "text": 64}
"""Rows read together. What is batched with what depends on the rows of a piece alone, never on the clock, on the
number of workers or on where a run was cut off: so neither do the figures, to the last bit."""
_NO_LIMIT = float("inf")
_TEXT_OUTPUTS = {"emotions", "sentiment", "affect", "affect_deviation", "stress"}


class Stopped(Exception):
    """The run was cancelled."""


class Here(Executor):
    """Runs what it is given at once, in the thread that asks: a worker has no other."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run it, and give a future that is done."""
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


@dataclass(frozen=True, slots=True)
class Heard:
    """A row, ready for the reader, or what was wrong with it."""

    row: Row
    samples: Samples | None = None
    bad: str | None = None

    @property
    def seconds(self) -> float:
        """Length of the audio; 0 for a text."""
        return 0.0 if self.samples is None else len(self.samples) / SAMPLE_RATE


class PieceReader:
    """Reads pieces of a manifest with the served reader. Each thread needs its own; the graphs may be shared."""

    def __init__(
        self,
        model: Model,
        modality: Modality,
        *,
        stem: Model | None = None,
        disturb: Disturb | None = None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        """Raises `ModelInvalid` for a model that doesn't fit the reader, or a head that doesn't fit the stem."""
        self._disturb, self._stopped, self._modality = disturb, stopped, modality
        self.card, self._read = open_reader(model, modality, stem)

    def piece(self, rows: Sequence[Row]) -> list[LineOutcome]:
        """What became of each row. Raises `Stopped` between two rows once the run was called off."""
        return asyncio.run(self._piece(rows))

    async def _piece(self, rows: Sequence[Row]) -> list[LineOutcome]:
        found: list[LineOutcome] = []
        for together in self._groups(rows):
            met = await asyncio.gather(*(self._met(heard) for heard in together))
            # one row that breaks a graph breaks its batch-mates too: each is tried once more, by itself
            found += [
                (await self._met(heard))[0] if perhaps_alone and len(together) > 1 else first
                for heard, (first, perhaps_alone) in zip(together, met, strict=True)
            ]
        return found

    def _groups(self, rows: Sequence[Row]) -> Iterator[list[Heard]]:
        """Texts all together, clips up to what fits into a batch: long recordings don't pile up in memory."""
        if self._modality == "text":
            yield [Heard(row) for row in rows]
            return
        waiting: list[Heard] = []
        samples = 0
        for row in rows:
            if self._stopped():
                raise Stopped
            heard = self._hear(row)
            length = 0 if heard.samples is None else len(heard.samples)
            if waiting and samples + length > MAX_ELEMENTS:
                yield waiting
                waiting, samples = [], 0
            waiting.append(heard)
            samples += length
        yield waiting

    def _hear(self, row: Row) -> Heard:
        try:
            samples = read_clip(row)
            return Heard(row, samples if self._disturb is None else self._disturb(row, samples))
        except Invalid as error:
            return Heard(row, bad=error.message.replace(str(row.file), row.name))  # as the manifest calls it
        except Exception as error:  # whatever one file does to a decoder must not end a long run
            return Heard(row, bad=f"the file can't be decoded: {type(error).__name__}: {error}"[:300])

    async def _met(self, heard: Heard) -> tuple[LineOutcome, bool]:
        """What became of a row, and whether a batch-mate may be to blame."""
        line, seconds = heard.row.line, heard.seconds
        if heard.bad is not None:
            return LineOutcome(line, bad=heard.bad), False
        try:
            scores = await self._read(heard)
        except (ModelInvalid, ConsentRequired, Busy):
            raise
        except Invalid as error:
            return LineOutcome(line, bad=error.message), False
        except Exception as error:  # whatever one row does to the runtime must not end a long run
            why = f"the model failed on this row: {type(error).__name__}: {error}"
            return LineOutcome(line, bad=why[:300]), True
        if isinstance(scores, Abstention):
            return LineOutcome(line, seconds, abstained=scores.reason), False
        if not _is_finite(scores):
            return LineOutcome(line, bad="the model gave values that are not numbers"), False
        return LineOutcome(line, seconds, scores), False


def find_stem(card: Card) -> Path:
    """The stem beside a voice model, else the shipped one of that name."""
    name, _ = stem_of(card)
    beside = card.folder.resolve().parent / name
    return beside if (beside / "card.toml").is_file() else shipped_models() / name


def open_reader(
    model: Model, modality: Modality, stem: Model | None
) -> tuple[Card, Callable[[Heard], Awaitable[Scores | Abstention]]]:
    """The served reader over these graphs, or a foreign model's, with an evaluation grant of its own.

    Raises `ModelInvalid` for a model that doesn't fit the reader, or a head that doesn't fit the stem.
    """
    card = model.card
    foreign = is_foreign(card)
    here = Here()
    together = 1 if modality == "voice" or foreign else BATCH_ELEMENTS  # as they are served
    batcher = Batcher(model, here, max_waiting=1 << 40, max_elements=together)
    gate = EvaluationGate()
    grant = gate.issue(modality)
    try:
        if modality == "text":
            if not foreign and (missing := sorted(_TEXT_OUTPUTS - set(card.outputs))):
                raise ModelInvalid(f"{card.folder} is not a text model: it lacks the outputs {', '.join(missing)}")
            texts = ForeignText(batcher, gate) if foreign else TextReader(batcher, gate)
            return texts.card, lambda heard: texts.read(grant, heard.row.text, budget_s=_NO_LIMIT)
        if foreign:
            voices: ForeignVoice | VoiceReader = ForeignVoice(batcher, gate)
        elif stem is None:
            raise ModelInvalid(f"{card.name} needs its stem to run")
        else:
            voices = VoiceReader(Encoder(Batcher(stem, here, max_waiting=1 << 40)), batcher, gate)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelInvalid(f"{card.folder} is not a {modality} model: its card lacks {error}") from error

    async def hear(heard: Heard) -> Scores | Abstention:
        assert heard.samples is not None
        return await voices.read(grant, heard.samples, budget_s=_NO_LIMIT)

    return voices.card, hear


def _is_finite(scores: Scores) -> bool:
    arrays = [scores.emotions, scores.affect, scores.affect_deviation, [scores.stress]]
    if isinstance(scores, TextScores):
        arrays.append(scores.sentiment)
    return all(bool(np.isfinite(values).all()) for values in arrays)


def read_one_voice(
    clip: str | Path | bytes | np.ndarray[Any, Any],
    rate: int | None,
    *,
    channel: int | None,
    model: str | Path,
    models: Path | None,
) -> Reading | Abstention:
    """Read one recording; see `assistant.read_voice`."""
    if isinstance(clip, np.ndarray):
        if rate is None:
            raise Invalid("give the rate of an array, in Hz", code="rate_missing")
        samples = convert_samples(clip, rate, channel)
    else:
        samples = read_audio(Path(clip) if isinstance(clip, str) else clip, channel=channel)
    return _read("voice", Heard(Row(line=1, name=""), samples), model, models)


def read_one_text(text: str, *, model: str | Path, models: Path | None) -> Reading | Abstention:
    """Read one text; see `assistant.read_text`."""
    return _read("text", Heard(Row(line=1, name="", text=text)), model, models)


def _read(modality: Modality, heard: Heard, model: str | Path, models: Path | None) -> Reading | Abstention:
    opened = open_model(model if isinstance(model, Path) else (models or shipped_models()) / model)
    needs_stem = modality == "voice" and not is_foreign(opened.card)
    _, read = open_reader(opened, modality, open_model(find_stem(opened.card)) if needs_stem else None)

    async def wait() -> Scores | Abstention:
        return await read(heard)

    with ThreadPoolExecutor(1) as thread:  # the caller may be inside an event loop, as notebooks are
        found = thread.submit(asyncio.run, wait()).result()
    return found if isinstance(found, Abstention) else found.reading()
