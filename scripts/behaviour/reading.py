"""What a model says of many texts, and figures with intervals made of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant import bootstrap
from assistant.emotion import SENTIMENTS
from assistant.evaluate.figures import metrics
from assistant.evaluate.run.engine import read_rows
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.manifest import Row
from assistant.inference.model import open_model
from assistant.text.reader import TextScores


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to one text. All is None where the reader abstained; a floor knows nothing but the sentiment."""

    sentiment: tuple[float, float, float] | None = None
    """Probabilities of negative, neutral, positive."""
    emotion: str | None = None
    """The most probable of the shared emotions."""
    stress: float | None = None
    abstained: str | None = None
    """The reason."""

    @property
    def label(self) -> str | None:
        """The most probable sentiment.

        >>> Said((0.2, 0.5, 0.3)).label, Said(abstained="empty").label
        ('neutral', None)
        """
        return SENTIMENTS[int(np.argmax(self.sentiment))] if self.sentiment else None

    @property
    def valence(self) -> float | None:
        """That of the Reading: positive less negative.

        >>> round(Said((0.2, 0.5, 0.3)).valence, 3)
        0.1
        """
        return self.sentiment[2] - self.sentiment[0] if self.sentiment else None


Read = Callable[[Sequence[str]], list[Said]]
"""Texts to answers, in order."""


class Served:
    """The model in a folder, read through the served reader with an evaluation grant. A text is read once."""

    def __init__(self, folder: Path, *, quiet: bool = False) -> None:
        self.model = open_model(folder)
        self._quiet = quiet
        self._known: dict[str, Said] = {}

    def __call__(self, texts: Sequence[str]) -> list[Said]:
        # Sorted by length, texts that wait together are padded alike.
        new = sorted(set(texts) - self._known.keys(), key=lambda text: (len(text), text))
        if new:
            rows = [Row(at, str(at), text=text) for at, text in enumerate(new)]
            outcomes, bad = asyncio.run(read_rows(self.model, "text", rows, quiet=self._quiet))
            if bad:
                raise RuntimeError(f"{len(bad)} texts can't be read: {bad[0].reason}")
            self._known |= {text: _said(outcome) for text, outcome in zip(new, outcomes, strict=True)}
        return [self._known[text] for text in texts]

    @property
    def stress_threshold(self) -> float:
        return float(self.model.card.data.get("stress_threshold", 0.5))


def _said(outcome: RowOutcome) -> Said:
    if not isinstance(outcome.scores, TextScores):
        return Said(abstained=outcome.abstained)
    reading, shared = outcome.scores.reading(), outcome.scores.shared
    negative, neutral, positive = (float(p) for p in outcome.scores.sentiment)
    return Said((negative, neutral, positive), max(shared, key=shared.__getitem__), reading.stress)


def mean(values: Sequence[float], clusters: Sequence[str] | None = None) -> dict[str, Any]:
    """The mean with its 95 % bootstrap interval, over rows or whole clusters of them.

    >>> mean([0.0, 1.0, 1.0, 0.0])["value"], mean([])
    (0.5, {'n': 0})
    """
    if not len(values):
        return {"n": 0}
    numbers = metrics.number_clusters(list(clusters) if clusters is not None else [""] * len(values))
    rows = np.array([[1.0, value] for value in values])
    found = bootstrap.compute_figures(
        {"mean": metrics.sum_by_cluster(rows, numbers, metrics.share)}, int(numbers.max()) + 1, replicates=2000
    )["mean"]
    return {**_rounded(found.value, found.low, found.high), "n": len(values)}


def rate(hits: Sequence[bool]) -> dict[str, Any]:
    """The share of hits with Wilson's 95 % interval (1927), which says something even where the share is 0 or 1.

    >>> rate([False] * 50)
    {'value': 0.0, 'low': 0.0, 'high': 0.0714, 'n': 50}
    """
    n = len(hits)
    if not n:
        return {"n": 0}
    p, z2 = sum(hits) / n, 1.96**2
    middle, half = p + z2 / (2 * n), (z2 * (p * (1 - p) / n + z2 / (4 * n * n))) ** 0.5
    return {**_rounded(p, *((middle + sign * half) / (1 + z2 / n) for sign in (-1, 1))), "n": n}


def _rounded(value: float, low: float, high: float) -> dict[str, float]:
    kept = {"value": value, "low": low, "high": high}
    return {name: round(number, 4) + 0.0 for name, number in kept.items() if np.isfinite(number)}
