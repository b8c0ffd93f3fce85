"""`--fit head`: a linear head on the frozen stem, learned from one's own labels and tested on other voices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import numpy as np
from tqdm import tqdm

from assistant.arrays import Ints
from assistant.bootstrap import Figure
from assistant.errors import Invalid
from assistant.evaluate.fit import features, head
from assistant.evaluate.fit.features import Clip
from assistant.evaluate.fit.folds import (
    Protocol,
    assign_left_out,
    assign_speaker_folds,
    compute_fold_figures,
    find_shared_speakers,
    name_folds,
)
from assistant.evaluate.fit.head import Head, TrainingSet, hash_heads, make_training_set, order_labels
from assistant.evaluate.fit.softmax import Linear, log_softmax
from assistant.evaluate.leakage import check as leakage
from assistant.evaluate.leakage.check import Leakage
from assistant.evaluate.report.findings import read_column
from assistant.evaluate.report.report import Folds, HeadChoice
from assistant.evaluate.run.baseline import BaselineMode, subtract_baselines
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.manifest import BadRow, Row
from assistant.inference.card import Card
from assistant.inference.model import Model

BASELINES: tuple[BaselineMode, ...] = ("none", "online", "speaker")
_FEWEST_ROWS = 30


@dataclass(frozen=True, slots=True, eq=False)
class CrossValidated:
    """Readings of every clip by a head that knew nothing of its speaker, and their figures."""

    card: Card
    """Of the heads: their labels, a name, and a hash of all that was learned."""
    rows: list[Row]
    """Those that could be heard."""
    outcomes: list[RowOutcome]
    """In the order of the rows, with the baseline that was asked for."""
    folds: Folds
    compared: dict[str, dict[str, Figure]]
    copies: Leakage
    """Speakers and near-duplicates that are in two folds."""
    known: TrainingSet
    """The clips that were read."""
    place: Ints
    """[clips]: the fold of each clip that was read."""
    notes: list[str]


def cross_validate(
    rows: Sequence[Row],
    beside: Model,
    stem: Model,
    protocol: Protocol,
    *,
    cache: Path,
    unread: Callable[[Sequence[BadRow]], None],
    quiet: bool = False,
) -> CrossValidated:
    """Hear every clip, learn in folds, and read each clip with the head that did not learn from its speaker.

    `beside` is the shipped head: it decides what is too noisy to read, and gives valence and arousal. What the stem
    hears is kept in the folder `cache`. `unread` is told of the rows that can't be read, before anything is
    learned. Raises `Invalid`: `too_few_speakers`, `too_few_parts`, `too_few_rows`, `one_class`.
    """
    column, seed = protocol.column, protocol.scoring.seed
    kept = [row for row in rows if column is None or read_column(row, column)]
    why = f"`{column}` is empty, and its values are left out in turn"
    lost = [BadRow(row.line, why, row.name) for row in rows if column and not read_column(row, column)]
    heard, bad = asyncio.run(features.hear_rows(kept, stem, beside, cache, quiet=quiet))
    unread([*lost, *bad])
    named = [row for row, _ in heard]
    if column is not None:
        heard = [(replace(row, speaker=f"{read_column(row, column)}/{row.speaker}"), clip) for row, clip in heard]
    read = [(row, clip) for row, clip in heard if not clip.abstained]
    known, simple = _make_training_sets(read, column)
    place, names = _assign_folds([row for row, _ in read], known, protocol)
    heads, floors = [], []
    for part in tqdm(range(len(names)), desc="fit", unit="fold", disable=quiet):
        learned = np.flatnonzero(place != part)
        heads.append(head.train_head(known, learned, seed=seed))
        floors.append(head.train_floor(simple, learned, seed=seed))
    labels, licence = known.labels, beside.card.licence
    card = Card(beside.card.folder, "fitted head", "voice", hash_heads(heads), licence, labels, {}, {}, {})
    parts = _assign_parts(heard, place, column)
    raw, floor = [], []
    for (row, clip), part in zip(heard, parts.tolist(), strict=True):
        scores = None if clip.abstained else heads[part].scores(clip, card)
        raw.append(RowOutcome(row, scores, clip.abstained or None))
        floor.append(_read_floor(raw[-1], clip, floors[part]))
    outcomes = {mode: move_outcomes(raw, parts, heads, mode) for mode in BASELINES}
    folds, compared = compute_fold_figures(protocol, card, outcomes, floor, parts, names)
    copies = leakage.find_shared(named, parts.tolist(), quiet=quiet)
    choices = [
        HeadChoice(ridge=list(one.penalties), temperature=[round(1 / factor, 4) for factor in one.factors])
        for one in heads
    ]
    folds = msgspec.structs.replace(folds, heads=choices, leakage=copies)
    notes = _list_notes(protocol, names, copies)
    return CrossValidated(card, named, outcomes[protocol.baseline], folds, compared, copies, known, place, notes)


def _assign_folds(rows: Sequence[Row], known: TrainingSet, protocol: Protocol) -> tuple[Ints, list[str]]:
    """The fold of each row, [rows], and what is left out of each fold."""
    speakers = [row.speaker for row in rows]
    if protocol.column is None:
        place = assign_speaker_folds(speakers, known.target, protocol.folds, protocol.scoring.seed)
        names = name_folds(speakers, place)
    else:
        place, values = assign_left_out([read_column(row, protocol.column) for row in rows], protocol.column)
        names = list(values)
    if both := find_shared_speakers(speakers, place):
        raise AssertionError(f"a speaker is on both sides: {both[0]}")
    return place, names


def _assign_parts(heard: Sequence[tuple[Row, Clip]], place: Ints, column: str | None) -> Ints:
    """The fold of every clip, [clips]; one that was not read belongs where its speaker is."""
    groups = [row.speaker if column is None else read_column(row, column) for row, _ in heard]
    answered = (group for group, (_, clip) in zip(groups, heard, strict=True) if not clip.abstained)
    fold_of = dict(zip(answered, place.tolist(), strict=True))
    return np.array([fold_of.get(group, 0) for group in groups], dtype=np.int64)


def _list_notes(protocol: Protocol, names: Sequence[str], copies: Leakage) -> list[str]:
    column = protocol.column
    parts = len(names)
    tested = f"each value of {column}" if column else f"{parts} folds of speakers"
    notes = [
        f"measured a method, not one model: for {tested} a linear head on the frozen stem learned from the others, "
        "with its ridge and temperature chosen on inner folds of those",
    ]
    if column is None and parts < protocol.folds:
        notes.append(f"there are only {parts} speakers, so there are {parts} folds and not {protocol.folds}")
    if column is not None and copies.speakers and (shared := copies.speakers.shared):
        notes.append(
            f"{shared} names of speakers are in more than one {column} and were taken for different people: where "
            "they are the same, training has heard them, and the figures are too good"
        )
    if copies.audio and copies.audio.shared:
        notes.append(
            f"{copies.audio.shared} clips have a copy in another fold, so the figures are too good: leave "
            "one of each pair out; leakage.audio.first names them"
        )
    return notes


def move_outcomes(
    outcomes: Sequence[RowOutcome], parts: Ints, heads: Sequence[Head], mode: BaselineMode
) -> list[RowOutcome]:
    """Each fold with a personal baseline around the mean speaker of its own head."""
    found = list(outcomes)
    for part, one in enumerate(heads):
        at = np.flatnonzero(parts == part).tolist()
        for index, outcome in zip(at, subtract_baselines([outcomes[i] for i in at], mode, one.center), strict=True):
            found[index] = outcome
    return found


def _make_training_sets(read: Sequence[tuple[Row, Clip]], column: str | None) -> tuple[TrainingSet, TrainingSet]:
    """What the stem heard, and the floor's energy and pitch."""
    labels = order_labels({row.labels[0] for row, _ in read})
    if len(read) < _FEWEST_ROWS:
        why = f"{len(read)} rows can be used for training; a head needs at least {_FEWEST_ROWS}"
        raise Invalid(why, code="too_few_rows")
    if len(labels) < 2:
        raise Invalid(f"all rows are {labels[0]}: at least two classes are needed", code="one_class")
    target = np.array([labels.index(row.labels[0]) for row, _ in read], dtype=np.int64)
    who = np.unique([row.speaker for row, _ in read], return_inverse=True)[1].astype(np.int64)
    corpora = [read_column(row, column) if column else "" for row, _ in read]
    corpus = np.unique(corpora, return_inverse=True)[1].astype(np.int64)
    affect = np.stack([clip.affect[:2] for _, clip in read])
    windows = np.stack([clip.windows.mean(axis=0) for _, clip in read])
    prosody = np.stack([clip.prosody for _, clip in read])
    first, second = (make_training_set(x, target, who, corpus, affect, labels) for x in (windows, prosody))
    return first, second


def _read_floor(outcome: RowOutcome, clip: Clip, floor: Linear) -> RowOutcome:
    if outcome.scores is None:
        return outcome
    said = np.exp(log_softmax(floor(clip.prosody[None])))[0]
    return replace(outcome, scores=replace(outcome.scores, emotions=said / said.sum()))
