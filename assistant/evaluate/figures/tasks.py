"""What can be asked of a model: for each task its label columns, the model's answer, and the sheet of both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from assistant.arrays import Bools, Floats, Ints
from assistant.audio.voice import VoiceScores
from assistant.emotion import EMOTIONS, SENTIMENTS
from assistant.errors import Invalid
from assistant.evaluate.figures import metrics
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
_BLOCK = 50_000  # rows of a sheet that are added up at a time


@dataclass(frozen=True, slots=True)
class Scoring:
    """How answers become figures."""

    task: Task
    drop: bool
    """Leave abstentions out, instead of counting them as wrong."""
    replicates: int
    """Bootstrap replicates."""
    seed: int


def list_label_names(task: Task, modality: Literal["voice", "text"], card: Card) -> tuple[str, ...]:
    """The names that labels of a task may have, in the order in which they are shown."""
    names: Mapping[Task, tuple[str, ...]] = {
        "labels": card.labels,
        "emotion": tuple(dict.fromkeys((*card.labels, *EMOTIONS))),
        "sentiment": SENTIMENTS,
        "stress": ("0", "1"),
        "affect": AFFECTS if modality == "text" else AFFECTS[:2],
    }
    return names[task]


def list_classes(task: Task, card: Card, used: set[str]) -> tuple[str, ...]:
    """The columns of a sheet: the classes present (closed set), all labels of the card, or the affects used."""
    if task == "labels":
        return card.labels
    known = (*card.labels, *EMOTIONS, *SENTIMENTS, *AFFECTS)
    return ("0", "1") if task == "stress" else tuple(name for name in dict.fromkeys(known) if name in used)


def get_answer(task: Task, scores: Scores, names: Sequence[str]) -> tuple[Floats, Floats]:
    """What the model said for one row: probabilities or means [names], and deviations [names] (affect only).

    Probabilities of emotions and sentiments are normalised over `names`. Emotions in text are the groups of
    `TextScores.shared`; where a name is none of the shared seven, every name is the model's own label.
    """
    match task, scores:
        case "labels", TextScores():
            return np.asarray(scores.emotions, dtype=np.float64), np.empty(0)
        case "sentiment", TextScores():
            return _normalise(dict(zip(SENTIMENTS, scores.sentiment, strict=True)), names), np.empty(0)
        case "emotion", _:
            own = {name: float(p) for name, p in zip(scores.card.labels, scores.emotions, strict=True)}
            if isinstance(scores, TextScores):
                own = scores.shared if set(names) <= set(EMOTIONS) else {**scores.shared, **own}
            return _normalise(own, names), np.empty(0)
        case "stress", _:
            return np.array([1 - scores.stress, scores.stress]), np.empty(0)
        case "affect", _:
            both = np.asarray([scores.affect, scores.affect_deviation], dtype=np.float64)
            means, deviations = both[:, [AFFECTS.index(name) for name in names]]
            return means, deviations
    raise Invalid(f"a voice model cannot answer the task {task}", code="task_unknown")


def _normalise(probabilities: Mapping[str, float], names: Sequence[str]) -> Floats:
    values = np.array([float(probabilities.get(name, 0.0)) for name in names])
    total = values.sum()
    return values / total if total > 0 else np.full(len(values), 1 / max(1, len(values)))


def choose_names(task: Task, scores: Scores, given: Floats, names: Sequence[str]) -> Bools:
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

    def __len__(self) -> int:
        return len(self.answered)

    def take(self, rows: Bools | Ints) -> Sheet:
        """The sheet of a part of the rows, given as a mask or as their numbers."""
        _, clusters = np.unique(self.clusters[rows], return_inverse=True)
        columns = ("truth", "given", "deviation", "predicted", "answered")
        part = {name: getattr(self, name)[rows] for name in columns}
        return replace(self, **part, clusters=clusters.astype(np.int64))

    def counts(self, rows: Ints | slice = slice(None), *, drop: bool) -> Floats:
        """Hits, predictions and truths, [rows, 3, names]; zeros for abstentions when they are dropped."""
        tallied = metrics.count_hits(self.truth[rows] > 0, self.predicted[rows])
        return tallied * self.answered[rows, None, None] if drop else tallied

    def count(self, *, drop: bool) -> Floats:
        """The sum of `counts` over all rows, [3, names], a block at a time."""
        found = np.zeros((3, len(self.names)))
        for some in self.blocks():
            found += self.counts(some, drop=drop).sum(axis=0)
        return found

    def blocks(self) -> Iterator[slice]:
        """All rows, a bounded number at a time."""
        return (slice(at, at + _BLOCK) for at in range(0, len(self), _BLOCK))

    def confidence(self) -> Floats:
        """How sure the model was of each row's answer, [rows]; minus infinity where it abstained.

        The top probability (Hendrycks and Gimpel 2017), or for affect minus the mean deviation.
        """
        sure = -self.deviation.mean(axis=1) if self.task == "affect" else self.given.max(axis=1, initial=-np.inf)
        return np.where(self.answered, sure, -np.inf)

    def loss(self, *, drop: bool) -> Floats:
        """1 where the one class was missed, else 0; for affect the mean absolute error; [rows], NaN if unjudged."""
        if self.task == "affect":
            return metrics.mean_known(np.abs(self.truth - self.given))
        wrong = ~(self.predicted & (self.truth > 0)).any(axis=1)
        return np.where(self.answered | (not drop), wrong, np.nan)
