"""What the parts of the mood's measurement share: the read data, and statistics of moods."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant import bootstrap
from assistant.audio.voice import VoiceScores
from assistant.emotion import EMOTIONS, Mood
from assistant.evaluate.figures import metrics
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.text.reader import TextScores
from scripts.mood.data import Clip, clips, goemotions, meld, read_clips, read_texts

Statistic = bootstrap.Statistic
Figures = list[dict[str, Any]]


class Lab:
    """The data, with what the served readers said of it."""

    def __init__(self, data: Path, folds: Path, keep: Path) -> None:
        self.data, self.folds, self.keep = data, folds, keep

    def texts(self, texts: Sequence[str]) -> list[RowOutcome]:
        return read_texts(texts, self.keep)

    def clips(self, listed: Callable[[Path, Path], list[Clip]] = clips) -> list[tuple[Clip, RowOutcome]]:
        found = listed(self.data, self.folds)
        return [pair for pair in zip(found, read_clips(found, self.keep), strict=True) if pair[1].scores]

    def pool(self, name: str) -> list[tuple[RowOutcome, str]]:
        """Texts that the text model never learned from, with their emotion."""
        if name == "goemotions":
            labelled = goemotions(self.data)
        else:
            labelled = [(line.text, line.emotion) for line in meld(self.data, name.split()[1])]
        read = self.texts([text for text, _ in labelled])
        return [(outcome, emotion) for outcome, (_, emotion) in zip(read, labelled, strict=True) if outcome.scores]


def scored(outcome: RowOutcome | None) -> tuple[Any, ...]:
    return () if outcome is None or outcome.scores is None else (outcome.scores,)


def figures_of(statistics: Mapping[str, Statistic], clusters: np.ndarray) -> dict[str, bootstrap.Figure]:
    return bootstrap.compute_figures(statistics, int(clusters.max()) + 1)


def record(measure: str, data: str, figure: bootstrap.Figure, n: int, part: str, **more: Any) -> dict[str, Any]:
    """A figure as it is kept."""
    values = {name: round(float(getattr(figure, name)), 4) for name in ("value", "low", "high")}
    command = f"python -m scripts.mood.measure --folds WORK/models --only {part}"
    return {"measure": measure, "data": data, **values, "n": n, **more, "part": part, "command": command}


def weighted_f1(counts: np.ndarray) -> np.ndarray:
    """Mean F1 over the classes, weighed with their support: MELD's measure."""
    support = counts[..., 2, :]
    return np.asarray((metrics.f1(counts, undefined=0.0) * support).sum(axis=-1) / support.sum(axis=-1))


def micro_f1_of_three(counts: np.ndarray) -> np.ndarray:
    """F1 of all but the last class pooled: EmoContext's measure."""
    return np.asarray(metrics.micro_f1(counts[..., :3]))


def shares(moods: Sequence[Mood | None], names: Sequence[str] = EMOTIONS) -> np.ndarray:
    """The moods' emotions, [n, names]; zeros where a mood said nothing."""
    return np.array([[0.0 if m is None else m.emotions.get(name, 0.0) for name in names] for m in moods])


def named(given: np.ndarray, truth: np.ndarray, clusters: np.ndarray) -> Callable[[metrics.Formula], Statistic]:
    """Statistics of the likeliest class; all zeros name nothing. `given` [n, classes], `truth` [n] numbers."""
    classes = np.arange(given.shape[1])
    predicted = (given.argmax(axis=1)[:, None] == classes) & (given.max(axis=1)[:, None] > 0)
    counts = metrics.count_hits(truth[:, None] == classes, predicted)
    return lambda formula: metrics.sum_by_cluster(counts, clusters, formula)


def ranked(given: np.ndarray, positive: np.ndarray, clusters: np.ndarray) -> Statistic:
    return lambda weights: metrics.auc(given, positive, weights[:, clusters])


def less(one: Statistic, other: Statistic) -> Statistic:
    return lambda weights: one(weights) - other(weights)


def truths(labels: Sequence[str], names: Sequence[str] = EMOTIONS) -> np.ndarray:
    return np.array([names.index(label) for label in labels])


def mean_of(statistics: Sequence[bootstrap.Statistic], weights: np.ndarray) -> np.ndarray:
    """The mean of several, in each replicate."""
    return np.mean([one(weights) for one in statistics], axis=0)


def scores_of(outcome: RowOutcome) -> TextScores | VoiceScores:
    """The scores of what was read and not abstained from."""
    assert outcome.scores is not None
    return outcome.scores


def shares_of_outcomes(outcomes: Sequence[RowOutcome]) -> np.ndarray:
    return np.array([[scores_of(o).reading().emotions.get(name, 0.0) for name in EMOTIONS] for o in outcomes])


def of_four(seven: np.ndarray) -> np.ndarray:
    """Joy, sadness, anger, and all others: [n, 7] -> [n, 4]."""
    three = seven[:, truths(("joy", "sadness", "anger"))]
    return np.concatenate([three, np.maximum(0.0, seven.sum(axis=1) - three.sum(axis=1))[:, None]], axis=1)
