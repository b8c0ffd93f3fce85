"""Labels beside answers: the one table that every figure is computed from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from assistant.arrays import Bools, Floats, Ints
from assistant.evaluate.figures import metrics

Task = Literal["labels", "emotion", "sentiment", "stress", "affect"]

_BLOCK = 50_000
"""Rows that are added up at a time."""


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
        return replace(
            self,
            truth=self.truth[rows],
            given=self.given[rows],
            deviation=self.deviation[rows],
            predicted=self.predicted[rows],
            answered=self.answered[rows],
            clusters=clusters.astype(np.int64),
        )

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

        The probability of the most probable class (Hendrycks and Gimpel 2017), or for affect minus the mean
        deviation.
        """
        sure = -self.deviation.mean(axis=1) if self.task == "affect" else self.given.max(axis=1, initial=-np.inf)
        return np.where(self.answered, sure, -np.inf)

    def loss(self, *, drop: bool) -> Floats:
        """1 where the one class was missed, else 0; for affect the mean absolute error; [rows], NaN if unjudged."""
        if self.task == "affect":
            error = np.abs(self.truth - self.given)
            known = np.isfinite(error)
            count = known.sum(axis=1)
            return np.where(count > 0, np.where(known, error, 0.0).sum(axis=1) / np.maximum(count, 1), np.nan)
        wrong = ~(self.predicted & (self.truth > 0)).any(axis=1)
        return np.where(self.answered | (not drop), wrong, np.nan)
