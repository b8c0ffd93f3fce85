"""Figures as pure functions over sums.

Almost every figure here depends on the rows only through sums over them, so a bootstrap replicate is one product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from assistant.arrays import Bools, Floats, Ints
from assistant.bootstrap import Statistic

Formula = Callable[[Floats], Floats]
"""Sums over rows, with leading axes for replicates, to one value each."""

BINS = 15
"""Equal-width bins of a calibration error, as many as in Guo et al. 2017."""


def count_hits(truth: Bools, predicted: Bools) -> Floats:
    """Per row and class: hits, predictions, truths. [rows, classes] twice -> [rows, 3, classes].

    >>> count_hits(np.array([[True, False]]), np.array([[True, True]]))[0].tolist()
    [[1.0, 0.0], [1.0, 1.0], [1.0, 0.0]]
    """
    return np.stack([truth & predicted, predicted, truth], axis=1).astype(np.float64)


def _ratio(top: Floats, bottom: Floats, undefined: float = np.nan) -> Floats:
    return np.where(bottom > 0, top / np.where(bottom > 0, bottom, 1.0), undefined)


def _mean_where(values: Floats, keep: Bools) -> Floats:
    return _ratio(np.where(keep, values, 0.0).sum(axis=-1), keep.sum(axis=-1).astype(np.float64))


def mean_known(values: Floats) -> Floats:
    """Mean over the last axis of what is finite; NaN of nothing."""
    return _mean_where(values, np.isfinite(values))


def precision(counts: Floats) -> Floats:
    """Hits among the predictions of each class, [..., 3, classes] -> [..., classes]; NaN where never predicted."""
    return _ratio(counts[..., 0, :], counts[..., 1, :])


def recall(counts: Floats) -> Floats:
    """Hits among the truths of each class, [..., 3, classes] -> [..., classes]; NaN without support."""
    return _ratio(counts[..., 0, :], counts[..., 2, :])


def f1(counts: Floats, *, undefined: float = np.nan) -> Floats:
    """Harmonic mean of precision and recall, 2 hits / (predictions + truths) (van Rijsbergen 1979).

    [..., 3, classes] -> [..., classes]; `undefined` for a class that is neither true nor predicted anywhere.

    >>> f1(np.array([[2.0, 0.0], [3.0, 0.0], [4.0, 0.0]])).round(3).tolist()
    [0.571, nan]
    """
    return _ratio(2 * counts[..., 0, :], counts[..., 1, :] + counts[..., 2, :], undefined)


def uar(counts: Floats) -> Floats:
    """Unweighted average recall over the classes with support (Schuller et al. 2009), also macro recall.

    >>> float(uar(np.array([[8.0, 1.0], [9.0, 3.0], [10.0, 2.0]])))
    0.65
    """
    return _mean_where(recall(counts), counts[..., 2, :] > 0)


def accuracy(counts: Floats) -> Floats:
    """Share of the rows whose one class was hit. An abstention counts as a truth without a hit.

    >>> float(accuracy(np.array([[8.0, 1.0], [9.0, 3.0], [10.0, 2.0]])))
    0.75
    """
    return _ratio(counts[..., 0, :].sum(axis=-1), counts[..., 2, :].sum(axis=-1))


def macro_f1(counts: Floats) -> Floats:
    """Mean F1 over the classes with support: for one label a row, where only present classes are predicted.

    >>> round(float(macro_f1(np.array([[8.0, 1.0], [9.0, 3.0], [10.0, 2.0]]))), 4)
    0.6211
    """
    return _mean_where(f1(counts, undefined=0.0), counts[..., 2, :] > 0)


def macro_f1_all(counts: Floats) -> Floats:
    """Mean F1 over all the labels a model has, for label sets.

    A label without support counts as 0: scikit-learn's `f1_score(labels=all, average="macro", zero_division=0)`.

    >>> float(macro_f1_all(np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])))
    0.5
    """
    return np.asarray(f1(counts, undefined=0.0).mean(axis=-1))


def micro_f1(counts: Floats) -> Floats:
    """F1 of all labels pooled; labels without support add only their false alarms.

    >>> round(float(micro_f1(np.array([[8.0, 1.0], [9.0, 3.0], [10.0, 3.0]]))), 2)
    0.72
    """
    return f1(counts.sum(axis=-1, keepdims=True))[..., 0]


def weighted_f1(counts: Floats) -> Floats:
    """Mean F1 weighted by support, [..., 3, classes] -> [...]: scikit-learn's `average="weighted"`.

    >>> round(float(weighted_f1(np.array([[8.0, 1.0], [9.0, 3.0], [10.0, 2.0]]))), 4)
    0.7684
    """
    support = counts[..., 2, :]
    return _ratio((f1(counts, undefined=0.0) * support).sum(axis=-1), support.sum(axis=-1))


def mean(sums: Floats) -> Floats:
    """Mean from a number of things and their sum: [..., 2] -> [...]; NaN of nothing.

    >>> mean(np.array([[4.0, 6.0], [0.0, 0.0]])).tolist()
    [1.5, nan]
    """
    return _ratio(sums[..., 1], sums[..., 0])


def root_mean(sums: Floats) -> Floats:
    """Root of a mean, as `mean`: of squared errors, the RMSE."""
    return np.sqrt(mean(sums))


def brier(given: Floats, truth: Floats) -> Floats:
    """Squared distance of the probabilities from the truth, summed over the classes, [rows, classes] -> [rows].

    The mean over rows is the score of Brier 1950 (Monthly Weather Review 78:1), from 0 to 2.

    >>> brier(np.array([[0.7, 0.3], [0.7, 0.3]]), np.array([[1.0, 0.0], [0.0, 1.0]])).round(2).tolist()
    [0.18, 0.98]
    """
    return np.asarray(((given - truth) ** 2).sum(axis=1))


def nll(given: Floats, truth: Floats) -> Floats:
    """Negative logarithm of the probability of what is true, in nats, [rows, classes] -> [rows].

    Probabilities are held at 2.2e-16 or more, so one row costs at most 36.

    >>> nll(np.array([[0.5, 0.5], [1.0, 0.0]]), np.array([[1.0, 0.0], [0.0, 1.0]])).round(3).tolist()
    [0.693, 36.044]
    """
    return np.asarray(-(truth * np.log(np.maximum(given, np.finfo(np.float64).eps))).sum(axis=1))


def moments(x: Floats, y: Floats, middle: float | None = None) -> Floats:
    """Per row: 1, x, y, x², y², xy, with zeros where either is NaN. [rows] twice -> [rows, 6].

    Both are first moved by `middle`, or else the mean of y, which changes no figure and keeps the sums accurate.
    """
    known = np.isfinite(x) & np.isfinite(y)
    if middle is None:
        middle = float(y[known].mean()) if known.any() else 0.0
    x, y = np.where(known, x - middle, 0.0), np.where(known, y - middle, 0.0)
    return np.stack([known.astype(np.float64), x, y, x * x, y * y, x * y], axis=1)


def _spread(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Difference of means, both variances and the covariance (divided by n), from summed moments [..., 6]."""
    n = np.where(sums[..., 0] > 0, sums[..., 0], np.nan)
    x, y, xx, yy, xy = (sums[..., k] / n for k in range(1, 6))
    floor = 1e-12 * np.maximum(xx + yy, 1e-12)
    var_x, var_y = xx - x * x, yy - y * y
    return x - y, np.where(var_x > floor, var_x, 0.0), np.where(var_y > floor, var_y, 0.0), xy - x * y


def pearson(sums: Floats) -> Floats:
    """Pearson's correlation from summed moments, [..., 6] -> [...]; NaN where one side never varies.

    >>> x, y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0])
    >>> round(float(pearson(moments(x, y).sum(axis=0))), 6)
    1.0
    """
    _, var_x, var_y, cov = _spread(sums)
    return _ratio(cov, np.sqrt(var_x * var_y))


def ccc(sums: Floats) -> Floats:
    """Concordance correlation 2 cov / (var x + var y + (mean x - mean y)²) (Lin 1989, Biometrics 45:255).

    NaN where neither side varies. Variances are divided by n, as in the paper.

    >>> x, y = np.array([1.0, 2.0, 3.0]), np.array([2.0, 3.0, 4.0])
    >>> round(float(ccc(moments(x, y).sum(axis=0))), 6)  # correlation 1, but one off: 4/7
    0.571429
    """
    apart, var_x, var_y, cov = _spread(sums)
    return _ratio(2 * cov, np.where(var_x + var_y > 0, var_x + var_y + apart**2, 0.0))


def share(sums: Floats) -> Floats:
    """Part of the whole: [..., 2] of whole and part -> [...]; NaN where there is nothing.

    >>> share(np.array([[4.0, 3.0], [0.0, 0.0]])).tolist()
    [0.75, nan]
    """
    return _ratio(sums[..., 1], sums[..., 0])


def bin_calibration(confidence: Floats, hit: Floats, row: Ints, rows: int) -> Floats:
    """Per row and bin: predictions, their summed confidence, their hits; [predictions] -> [rows, 3, BINS].

    `row` says which row each prediction belongs to; a row may hold any number of them.
    """
    place = row * BINS + np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    values = (np.ones_like(confidence), confidence, hit)
    sums = [np.bincount(place, weights=value, minlength=rows * BINS).reshape(rows, BINS) for value in values]
    return np.stack(sums, axis=1)


def ece(binned: Floats) -> Floats:
    """Expected calibration error, equal-width bins (Guo et al. 2017), [..., 3, bins] -> [...].

    The share-weighted mean distance between confidence and hit rate. It is biased upwards in small samples, and
    bootstrap replicates are so once more: an interval may lie above its value.

    >>> confidence, hit = np.array([0.9, 0.9, 0.6, 0.6]), np.array([1.0, 1.0, 1.0, 0.0])
    >>> round(float(ece(bin_calibration(confidence, hit, np.arange(4), 4).sum(axis=0))), 6)
    0.1
    """
    count, confidence, hits = binned[..., 0, :], binned[..., 1, :], binned[..., 2, :]
    return _ratio(np.abs(confidence - hits).sum(axis=-1), count.sum(axis=-1))


def auc(score: Floats, positive: Bools, weights: Floats) -> Floats:
    """Area under the ROC curve: the chance that a positive outranks a negative, ties half (Mann & Whitney 1947).

    `weights` [replicates, rows] says how often each row counts. NaN without both classes.

    >>> score, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    >>> auc(score, positive, np.ones((1, 4))).tolist()
    [0.75]
    """
    if not len(score):
        return np.full(len(weights), np.nan)
    order = np.argsort(score, kind="stable")
    weights, positive = weights[:, order], positive[order]
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf))  # where each distinct score begins
    up = np.add.reduceat(weights * positive, starts, axis=1)
    down = np.add.reduceat(weights * ~positive, starts, axis=1)
    below = np.cumsum(down, axis=1) - down
    return _ratio((up * (below + down / 2)).sum(axis=1), up.sum(axis=1) * down.sum(axis=1))


def sum_by_cluster(rows: Floats, clusters: Ints, formula: Formula) -> Statistic:
    """The statistic of a formula over sums: `rows` [rows, ...] are added up by cluster once and for all."""
    count = int(clusters.max(initial=-1)) + 1
    flat = rows.reshape(len(rows), -1)
    totals = np.zeros((count, flat.shape[1]))
    np.add.at(totals, clusters, flat)
    return lambda weights: formula((weights @ totals).reshape(len(weights), *rows.shape[1:]))


def number_clusters(names: Sequence[str]) -> Ints:
    """Number the clusters of rows by name; a row without a name is a cluster of its own.

    >>> number_clusters(["anna", "", "anna", ""]).tolist()
    [0, 1, 0, 2]
    """
    seen: dict[str, int] = {}
    found = np.empty(len(names), dtype=np.int64)
    count = 0
    for at, name in enumerate(names):
        found[at] = seen.setdefault(name, count) if name else count
        count += int(found[at] == count)
    return found
