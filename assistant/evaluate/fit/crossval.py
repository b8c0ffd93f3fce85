"""`--fit head`: a linear head on the frozen stem, learned from one's own labels and tested on other voices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from assistant.arrays import Ints
from assistant.errors import Invalid
from assistant.evaluate.fit import features, head, method, model_folder, outside
from assistant.evaluate.fit.feature_cache import Clip
from assistant.evaluate.fit.folds import left_out, shared_speakers, speaker_folds
from assistant.evaluate.fit.head import Head, TrainingSet, ordered_labels, training_set
from assistant.evaluate.fit.softmax import log_chances
from assistant.evaluate.leakage import check as leakage
from assistant.evaluate.options import Options
from assistant.evaluate.run.baseline import BaselineMode, with_baseline
from assistant.evaluate.run.outcomes import Outcome
from assistant.evaluate.tables.manifest import BadRow, Row
from assistant.evaluate.tables.tables import plain
from assistant.inference.card import Card
from assistant.inference.model import Model

BASELINES: tuple[BaselineMode, ...] = ("none", "online", "speaker")
_FEWEST_ROWS = 30


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """What fitting found: readings of every clip by a head that knew nothing of its speaker."""

    card: Card
    """Of the heads: their labels, a name, and a hash of all that was learned."""
    outcomes: list[Outcome]
    """In the order of the rows, with the baseline that was asked for."""
    found: dict[str, Any]
    """Keys of the report: `folds`, `compared` and `leakage`."""
    notes: list[str]
    saved: Path | None


def fitted(
    options: Options,
    rows: Sequence[Row],
    beside: Model,
    stem: Model,
    *,
    unread: Callable[[Sequence[BadRow]], None],
    quiet: bool = False,
) -> Fitted:
    """Hear every clip, learn in folds, and read each clip with the head that did not learn from its speaker.

    `beside` is the shipped head: it decides what is too noisy to read, and gives valence and arousal.
    `unread` is told of the rows that can't be read, before anything is learned. Raises `Invalid`:
    `too_few_speakers`, `too_few_parts`, `too_few_rows`, `one_class`; and what `model_folder.save` does.
    """
    column = None if options.leave_out is None else plain(options.leave_out)
    kept = [row for row in rows if column is None or value_of(row, column)]
    known_lines = {row.line for row in kept}
    lost = [
        BadRow(row.line, f"nothing in `{column}`, whose values are left out in turn", name=row.name)
        for row in rows
        if row.line not in known_lines
    ]
    heard, bad = asyncio.run(features.hear(kept, stem, beside, options.out / "features", quiet=quiet))
    unread([*lost, *bad])
    named = [row for row, _ in heard]
    if column is not None:
        heard = [(replace(row, speaker=f"{value_of(row, column)}/{row.speaker}"), clip) for row, clip in heard]
    read = [(row, clip) for row, clip in heard if not clip.abstained]
    known, simple = _training_sets(read, column)
    speakers = [row.speaker for row, _ in read]
    if column is None:
        place = speaker_folds(speakers, known.target, options.folds, options.seed)
        names = method.names_of_folds(speakers, place)
    else:
        place, values = left_out([value_of(row, column) for row, _ in read], column)
        names = list(values)
    if both := shared_speakers(speakers, place):
        raise AssertionError(f"a speaker is on both sides: {both[0]}")
    card = Card(beside.card.folder, "fitted head", "voice", "", beside.card.licence, known.labels, {}, {}, {})
    heads, floors = _learned(known, simple, place, names, options.seed, quiet=quiet)
    card = replace(card, sha256=method.hash_of(heads))
    groups = [row.speaker if column is None else value_of(row, column) for row, _ in heard]
    answered = (group for group, (_, clip) in zip(groups, heard, strict=True) if not clip.abstained)
    fold_of = dict(zip(answered, place.tolist(), strict=True))
    # a clip that was not read belongs where its speaker is
    parts = np.array([fold_of.get(group, 0) for group in groups], dtype=np.int64)
    plainly = [
        Outcome(row, None if clip.abstained else heads[part].scores(clip, card), clip.abstained or None)
        for (row, clip), part in zip(heard, parts.tolist(), strict=True)
    ]
    every = {mode: moved(plainly, parts, heads, mode) for mode in BASELINES}
    floor = [_floor(outcome, clip, floors[part], card)
             for outcome, (_, clip), part in zip(plainly, heard, parts.tolist(), strict=True)]  # fmt: skip
    found = outside.found(options, card, every, floor, parts, names, floor_name=method.FLOOR)
    found["folds"]["heads"] = [method.told(one) for one in heads]
    copies = leakage.across(named, parts.tolist(), quiet=quiet)
    found["folds"]["leakage"] = copies
    found["leakage"] = copies if options.against is None else _against(options, named, quiet)
    notes = method.notes_of(options, names)
    if column is not None and (shared := copies["speakers"]["shared"]):
        notes.append(
            f"{shared} names of speakers are in more than one {column} and were taken for different people: where "
            "they are the same, training has heard them, and the figures are too good"
        )
    if copies["audio"]["shared"]:
        notes.append(
            f"{copies['audio']['shared']} clips have a copy in another fold, so the figures are too good: leave "
            "one of each pair out; leakage.audio.first names them"
        )
    saved = None
    if options.save_model is not None:
        whole = head.train(known, np.arange(len(read)), seed=options.seed, place=place)
        saved = options.save_model
        model_folder.save(saved, whole, beside.card, method.about(options, known, found))
        if len(known.labels) + 1 > 8:
            notes.append(
                f"{saved} names {len(known.labels)} emotions: it can be evaluated, but a server takes at most 7"
            )
    return Fitted(card, every[options.baseline], found, notes, saved)


def _against(options: Options, rows: Sequence[Row], quiet: bool) -> dict[str, Any]:
    assert options.against is not None
    trained = leakage.read_against(options.against, options.modality, dict(options.columns), options.table)
    return leakage.leakage(rows, trained, against=options.against.name, quiet=quiet)


def value_of(row: Row, column: str) -> str:
    """A row's cell of a column that was asked for."""
    own = {"speaker": row.speaker, "group": row.group, "gender": row.gender}
    return own.get(column) or row.more.get(column, "")


def moved(outcomes: Sequence[Outcome], parts: Ints, heads: Sequence[Head], mode: BaselineMode) -> list[Outcome]:
    """Each fold with a personal baseline around the mean speaker of its own head."""
    found = list(outcomes)
    for part, one in enumerate(heads):
        at = np.flatnonzero(parts == part).tolist()
        for index, outcome in zip(at, with_baseline([outcomes[i] for i in at], mode, one.center), strict=True):
            found[index] = outcome
    return found


def _training_sets(read: Sequence[tuple[Row, Clip]], column: str | None) -> tuple[TrainingSet, TrainingSet]:
    """What the stem heard, and the floor's energy and pitch."""
    labels = ordered_labels({row.labels[0] for row, _ in read})
    if len(read) < _FEWEST_ROWS:
        raise Invalid(
            f"{len(read)} rows can be learned from; a head needs at least {_FEWEST_ROWS}", code="too_few_rows"
        )
    if len(labels) < 2:
        raise Invalid(f"all rows are {labels[0]}: there is nothing to tell apart", code="one_class")
    target = np.array([labels.index(row.labels[0]) for row, _ in read], dtype=np.int64)
    who = np.unique([row.speaker for row, _ in read], return_inverse=True)[1].astype(np.int64)
    corpora = [value_of(row, column) if column else "" for row, _ in read]
    corpus = np.unique(corpora, return_inverse=True)[1].astype(np.int64)
    affect = np.stack([clip.affect[:2] for _, clip in read])
    given = (
        np.stack([clip.windows.mean(axis=0) for _, clip in read]),
        np.stack([clip.prosody for _, clip in read]),
    )
    first, second = (training_set(numbers, target, who, corpus, affect, labels) for numbers in given)
    return first, second


def _learned(
    known: TrainingSet, simple: TrainingSet, place: Ints, names: Sequence[str], seed: int, *, quiet: bool
) -> tuple[list[Head], list[Any]]:
    heads, floors = [], []
    for part in tqdm(range(len(names)), desc="fit", unit="fold", disable=quiet):
        rows = np.flatnonzero(place != part)
        heads.append(head.train(known, rows, seed=seed))
        floors.append(head.reading(simple, rows, seed=seed))
    return heads, floors


def _floor(outcome: Outcome, clip: Clip, floor: Any, card: Card) -> Outcome:
    if outcome.scores is None:
        return outcome
    said = np.exp(log_chances(floor(clip.prosody[None])))[0]
    return replace(outcome, scores=replace(outcome.scores, emotions=said / said.sum()))
