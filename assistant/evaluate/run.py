"""The run itself: every row through the served reader, a bounded number at a time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from tqdm import tqdm

from assistant.audio.decode import read_audio
from assistant.audio.encoder import Encoder
from assistant.audio.voice import VoiceReader, VoiceScores, relative_to
from assistant.consent.grant import EvaluationGate
from assistant.emotion import NO_BASELINE, Abstention, Baseline, Usual
from assistant.errors import Busy, ConsentRequired, Invalid, ModelInvalid
from assistant.evaluate.manifest import BadRow, Row
from assistant.evaluate.tasks import Scores
from assistant.inference.batcher import MAX_ELEMENTS, Batcher
from assistant.inference.model import Model
from assistant.mood.baseline import updated, usual
from assistant.text.reader import TextReader, TextScores

BaselineMode = Literal["none", "speaker", "online"]

AT_ONCE = {"voice": 4, "text": 64}
"""Rows in flight: enough to keep two threads busy, few enough that audio doesn't pile up in memory."""
_NO_LIMIT = float("inf")
_TEXT_OUTPUTS = {"emotions", "sentiment", "affect", "affect_deviation", "stress"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one row: scores, or why the reader abstained."""

    row: Row
    scores: Scores | None
    abstained: str | None = None


async def read_rows(
    model: Model,
    modality: Literal["voice", "text"],
    rows: Sequence[Row],
    *,
    stem: Model | None = None,
    quiet: bool = False,
) -> tuple[list[Outcome], list[BadRow]]:
    """Read every row with the served reader; outcomes in the order of `rows`, and those that couldn't be read.

    A voice model needs the `stem` that it was trained on. At most `AT_ONCE` rows are in flight. Raises
    `ModelInvalid` for a model that doesn't fit the reader, or a head that doesn't fit the stem.
    """
    with ThreadPoolExecutor(2, thread_name_prefix="evaluate") as pool:
        together = 1 if modality == "voice" else MAX_ELEMENTS  # as they are served
        batchers = [Batcher(model, pool, max_waiting=sys.maxsize, max_elements=together)]
        if stem is not None:
            batchers.append(Batcher(stem, pool, max_waiting=sys.maxsize))
        read = _reader(batchers, modality, pool)
        found: list[Outcome | BadRow | None] = [None] * len(rows)
        waiting = iter(enumerate(rows))
        # a log file gets a line now and then, a terminal a moving bar
        every = 0.2 if sys.stderr.isatty() else 15.0
        unit = "clip" if modality == "voice" else "text"
        with tqdm(total=len(rows), unit=unit, disable=quiet, mininterval=every, maxinterval=every) as bar:

            async def work() -> None:
                for at, row in waiting:
                    found[at] = await _outcome(row, read)
                    bar.update()

            workers = [asyncio.create_task(work()) for _ in range(AT_ONCE[modality])]
            try:
                await asyncio.gather(*workers)
                for at, row in enumerate(rows):
                    met = found[at]
                    if isinstance(met, BadRow) and met.perhaps_alone:
                        found[at] = await _outcome(row, read)
            finally:
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)
                for batcher in batchers:
                    await batcher.close()
    return [o for o in found if isinstance(o, Outcome)], [b for b in found if isinstance(b, BadRow)]


Read = Callable[[Row], Awaitable[Scores | Abstention]]


def _reader(batchers: Sequence[Batcher], modality: Literal["voice", "text"], pool: ThreadPoolExecutor) -> Read:
    batcher, *stems = batchers
    card = batcher.model.card
    missing = sorted(_TEXT_OUTPUTS - set(card.outputs))
    if modality == "text" and missing:
        raise ModelInvalid(f"{card.folder} is no text model: it gives no {', '.join(missing)}")
    gate = EvaluationGate()
    grant = gate.issue(modality)
    try:
        if modality == "text":
            text_reader = TextReader(batcher, gate)
            return lambda row: text_reader.read(grant, row.text, budget_s=_NO_LIMIT)
        if not stems:
            raise ModelInvalid(f"{card.name} can't be run without its stem")
        voice_reader = VoiceReader(Encoder(stems[0]), batcher, gate)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelInvalid(f"{card.folder} is no {modality} model: its card lacks {error}") from error
    loop = asyncio.get_running_loop()

    async def hear(row: Row) -> VoiceScores | Abstention:
        assert row.file is not None
        file, start, end = row.file, row.start_s, row.end_s
        speech = await loop.run_in_executor(pool, lambda: read_audio(file, start_s=start, end_s=end))
        return await voice_reader.read(grant, speech, budget_s=_NO_LIMIT)

    return hear


async def _outcome(row: Row, read: Read) -> Outcome | BadRow:
    try:
        scores = await read(row)
    except (ModelInvalid, ConsentRequired, Busy):
        raise
    except Invalid as error:
        return BadRow(row.line, error.message)
    except Exception as error:  # whatever one row does to the runtime must not end a long run
        return BadRow(row.line, f"the model failed on this row: {type(error).__name__}: {error}"[:300], True)
    if isinstance(scores, Abstention):
        return Outcome(row, None, scores.reason)
    if not _finite(scores):
        return BadRow(row.line, "the model gave values that are not numbers")
    return Outcome(row, scores)


def _finite(scores: Scores) -> bool:
    arrays = [scores.emotions, scores.affect, scores.affect_deviation, [scores.stress]]
    if isinstance(scores, TextScores):
        arrays.append(scores.sentiment)
    return all(bool(np.isfinite(values).all()) for values in arrays)


class Habit:
    """The served baseline of one speaker, for observations of any length.

    A `Baseline` keeps at most eight numbers. Each number is learned and subtracted by itself, so a longer
    observation (a head with eight classes has nine) is spread over several.
    """

    def __init__(self) -> None:
        self._parts: tuple[Baseline, ...] = ()

    def learn(self, observation: Sequence[float]) -> None:
        """One more utterance."""
        parts = list(_parts(observation))
        known = self._parts or (NO_BASELINE,) * len(parts)
        self._parts = tuple(updated(old, part) for old, part in zip(known, parts, strict=True))

    def usual(self, population: Sequence[float]) -> Usual | None:
        """What is known of the speaker; None before the first utterance."""
        pairs = zip(self._parts, _parts(population), strict=False)
        known = [found for part, most in pairs if (found := usual(part, most))]
        return Usual(tuple(x for part in known for x in part.shift), known[0].trust) if known else None


def _parts(numbers: Sequence[float]) -> Iterable[tuple[float, ...]]:
    return (tuple(numbers[at : at + Baseline.SIZE]) for at in range(0, len(numbers), Baseline.SIZE))


def with_baseline(outcomes: Sequence[Outcome], mode: BaselineMode, population: Sequence[float]) -> list[Outcome]:
    """Take each speaker's habit out of the scores, without labels.

    `online` knows the utterances before each one, in the order of the manifest: what users get. `speaker` knows
    all of a speaker's utterances. The reader applies a baseline to finished scores, so this equals reading again.
    Raises `Invalid` (`baseline_unsupported`) for a model whose card names no population.
    """
    if mode == "none":
        return list(outcomes)
    voices = [o.scores for o in outcomes if isinstance(o.scores, VoiceScores)]
    if voices and len(voices[0].observation) != len(population):
        raise Invalid(
            f"a personal baseline needs population.center in the model's card, of {len(voices[0].observation)} "
            f"numbers; it has {len(population)}",
            code="baseline_unsupported",
        )
    habits: dict[str, Habit] = {}
    if mode == "speaker":
        for outcome in outcomes:
            if isinstance(outcome.scores, VoiceScores):
                habits.setdefault(outcome.row.speaker, Habit()).learn(outcome.scores.observation)
    moved: list[Outcome] = []
    for outcome in outcomes:
        scores = outcome.scores
        if isinstance(scores, VoiceScores):
            habit = habits.setdefault(outcome.row.speaker, Habit())
            if known := habit.usual(population):
                outcome = replace(outcome, scores=relative_to(known, scores))
            if mode == "online":
                habit.learn(scores.observation)
        moved.append(outcome)
    return moved
