"""What can be asked of a model: for each task its label columns, the model's answer, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from assistant.audio.voice import VoiceScores
from assistant.emotion import EMOTIONS, SENTIMENTS
from assistant.errors import Invalid
from assistant.evaluate import metrics
from assistant.evaluate.metrics import Bools, Floats, Ints, Statistic
from assistant.inference.card import Card
from assistant.text.reader import TextScores

Task = Literal["labels", "emotion", "sentiment", "stress", "affect"]
Scores = TextScores | VoiceScores

AFFECTS = ("valence", "arousal", "dominance")
TASKS: Mapping[str, tuple[Task, ...]] = {
    "voice": ("emotion", "stress", "affect"),
    "text": ("labels", "emotion", "sentiment", "stress", "affect"),
}
"""What each modality can be asked."""

SCALES = ((0.0, 1.0), (-1.0, 1.0), (1.0, 5.0), (1.0, 7.0), (1.0, 9.0), (0.0, 100.0))
"""Conventional scales of affect labels, smallest first."""
ECE_LEAST = 0.1
"""Label predictions below this are left out of the calibration error: nearly all are, and all are near 0."""
_NINETY = 1.645
"""Standard deviations on either side of a mean that hold 90 % of a normal distribution."""


def allowed(task: Task, modality: Literal["voice", "text"], card: Card) -> tuple[str, ...]:
    """The names that labels of a task may have, in the order in which they are shown."""
    match task:
        case "labels":
            return card.labels
        case "emotion":
            return tuple(dict.fromkeys((*card.labels, *EMOTIONS)))
        case "sentiment":
            return SENTIMENTS
        case "stress":
            return ("0", "1")
        case "affect":
            return AFFECTS if modality == "text" else AFFECTS[:2]


def class_names(task: Task, card: Card, used: set[str]) -> tuple[str, ...]:
    """The columns of a sheet: the classes present (closed set), all labels of the card, or the affects used."""
    match task:
        case "labels":
            return card.labels
        case "stress":
            return ("0", "1")
        case _:
            known = (*card.labels, *EMOTIONS, *SENTIMENTS, *AFFECTS)
            return tuple(name for name in dict.fromkeys(known) if name in used)


def answer(task: Task, scores: Scores, names: Sequence[str]) -> tuple[Floats, Floats]:
    """What the model said for one row: probabilities or means [names], and deviations [names] (affect only).

    Probabilities of emotions and sentiments are normalised over `names`. For emotions in text the shared seven
    are the groups of `TextScores.shared`; where a name is none of them, every name is the model's own label.
    """
    match task, scores:
        case "labels", TextScores():
            return np.asarray(scores.emotions, dtype=np.float64), np.empty(0)
        case "sentiment", TextScores():
            return _closed(dict(zip(SENTIMENTS, scores.sentiment, strict=True)), names), np.empty(0)
        case "emotion", _:
            own = {name: float(p) for name, p in zip(scores.card.labels, scores.emotions, strict=True)}
            if isinstance(scores, TextScores):
                own = scores.shared if set(names) <= set(EMOTIONS) else {**scores.shared, **own}
            return _closed(own, names), np.empty(0)
        case "stress", _:
            return np.array([1 - scores.stress, scores.stress]), np.empty(0)
        case "affect", _:
            at = [AFFECTS.index(name) for name in names]
            return (
                np.asarray(scores.affect, dtype=np.float64)[at],
                np.asarray(scores.affect_deviation, dtype=np.float64)[at],
            )
    raise Invalid(f"a voice model says nothing for the task {task}", code="task_unknown")


def _closed(probabilities: Mapping[str, float], names: Sequence[str]) -> Floats:
    values = np.array([float(probabilities.get(name, 0.0)) for name in names])
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1 / max(1, len(values)))


def chosen(task: Task, scores: Scores, given: Floats, names: Sequence[str]) -> Bools:
    """The names predicted for one row, as a mask [names]; none for affect."""
    if task == "labels" and isinstance(scores, TextScores):
        return np.isin(scores.card.labels, scores.labels)
    if task == "stress":
        stressed = scores.stress >= float(scores.card.data.get("stress_threshold", 0.5))
        return np.array([not stressed, stressed])
    mask = np.zeros(len(given), dtype=bool)
    if task == "sentiment" and isinstance(scores, TextScores):
        given = given * np.array([scores.sentiment_weights[SENTIMENTS.index(name)] for name in names])
    if task != "affect" and len(given):
        mask[int(np.argmax(given))] = True
    return mask


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Labels beside answers, one row per scored row of the manifest."""

    task: Task
    names: tuple[str, ...]
    truth: Floats
    """[rows, names]: 1 or 0, or an affect label in [-1, 1], NaN where it has none."""
    given: Floats
    """[rows, names]: probability or mean; NaN where the reader abstained."""
    deviation: Floats
    """[rows, names] for affect, else [rows, 0]."""
    predicted: Bools
    """[rows, names]; all false where the reader abstained."""
    answered: Bools
    """[rows]."""
    clusters: Ints
    """[rows]: which rows are resampled together."""

    def take(self, rows: Bools) -> Sheet:
        """The sheet of a part of the rows."""
        _, clusters = np.unique(self.clusters[rows], return_inverse=True)
        return replace(
            self,
            truth=self.truth[rows],
            given=self.given[rows],
            deviation=self.deviation[rows],
            predicted=self.predicted[rows],
            answered=self.answered[rows],
            clusters=clusters.astype(np.int64),
        )

    def counts(self, *, drop: bool) -> Floats:
        """Hits, predictions and truths, [rows, 3, names]; zeros for abstentions when they are dropped."""
        tallied = metrics.tallies(self.truth > 0, self.predicted)
        return tallied * self.answered[:, None, None] if drop else tallied


def statistics(sheet: Sheet, *, drop: bool) -> dict[str, Statistic]:
    """The figures of the sheet's task. `drop` leaves abstentions out; else they are wrong, or the empty set."""
    found: dict[str, Statistic] = {}
    if sheet.task == "affect":
        found |= _affect(sheet)
    else:
        counts = sheet.counts(drop=drop)

        def add(name: str, formula: metrics.Formula) -> None:
            found[name] = metrics.summed(counts, sheet.clusters, formula)

        if sheet.task == "labels":
            add("macro_f1", metrics.macro_f1_all)
            add("micro_f1", metrics.micro_f1)
        elif sheet.task == "stress":
            add("f1", lambda sums: metrics.f1(sums)[..., 1])
            found["auc"] = _auc(sheet, drop=drop)
            add("accuracy", metrics.accuracy)
        elif len(sheet.names) < 2:  # the only class there is can't be missed: nothing was measured
            found |= dict.fromkeys(("uar", "accuracy", "macro_f1", "ece"), _undefined)
            if sheet.task == "sentiment":
                found["macro_recall"] = found.pop("uar")
        else:
            add("macro_recall" if sheet.task == "sentiment" else "uar", metrics.uar)
            add("accuracy", metrics.accuracy)
            add("macro_f1", metrics.macro_f1)
        found.setdefault("ece", metrics.summed(_binned(sheet), sheet.clusters, metrics.ece))
    asked = np.stack([np.ones(len(sheet.answered)), sheet.answered.astype(np.float64)], axis=1)
    found["coverage"] = metrics.summed(asked, sheet.clusters, metrics.share)
    return found


def _undefined(weights: Floats) -> Floats:
    return np.full(len(weights), np.nan)


def _affect(sheet: Sheet) -> dict[str, Statistic]:
    found: dict[str, Statistic] = {}
    inside = np.abs(sheet.truth - sheet.given) <= _NINETY * sheet.deviation
    known = np.isfinite(sheet.truth) & np.isfinite(sheet.given)
    held = np.stack([known, known & inside], axis=1).astype(np.float64)
    for at, name in enumerate(sheet.names):
        rows = metrics.moments(sheet.given[:, at], sheet.truth[:, at])
        found[f"pearson_{name}"] = metrics.summed(rows, sheet.clusters, metrics.pearson)
        found[f"ccc_{name}"] = metrics.summed(rows, sheet.clusters, metrics.ccc)
    for at, name in enumerate(sheet.names):
        found[f"coverage_90_{name}"] = metrics.summed(held[..., at], sheet.clusters, metrics.share)
    found["coverage_90"] = metrics.summed(held.sum(axis=2), sheet.clusters, metrics.share)
    return found


def _auc(sheet: Sheet, *, drop: bool) -> Statistic:
    """Abstentions that count as wrong rank last if positive and first if negative."""
    positive = sheet.truth[:, 1] > 0
    score = np.where(sheet.answered, sheet.given[:, 1], np.where(positive, -1.0, 2.0))
    keep = sheet.answered if drop else np.ones_like(sheet.answered)
    score, positive, clusters = score[keep], positive[keep], sheet.clusters[keep]
    return lambda weights: metrics.auc(score, positive, weights[:, clusters])


def _binned(sheet: Sheet) -> Floats:
    """Predictions to calibrate: every label at `ECE_LEAST` or more, P(stress), or the top class."""
    rows = len(sheet.answered)
    given = np.where(sheet.answered[:, None], sheet.given, 0.0)
    if sheet.task == "labels":
        row, column = np.nonzero((given >= ECE_LEAST) & sheet.answered[:, None])
    else:
        row = np.flatnonzero(sheet.answered)
        column = np.ones_like(row) if sheet.task == "stress" else given[row].argmax(axis=1)
    return metrics.calibration(given[row, column], sheet.truth[row, column], row, rows)
