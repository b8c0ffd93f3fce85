"""Figures of order: how well scores rank, and how well confidence tells right answers from wrong ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assistant.arrays import Bools, Floats, Ints
from assistant.bootstrap import Statistic
from assistant.evaluate.figures.metrics import mean_known
from assistant.evaluate.figures.tally import Tally

LEVELS = 200
"""Levels of confidence that a resampled risk-coverage area tells apart; rows of one level are in random order."""
PAIRS = 50_000_000
"""Rows times clusters up to which the area under a ROC curve is resampled pair by pair."""
_FEW = 300


def _groups(score: Floats) -> tuple[Ints, Ints]:
    """Rows from the lowest score to the highest, and where each distinct score begins among them."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    return order, np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])


def compute_placements(score: Floats, positive: Bools) -> Floats:
    """Share of the other class that a row is on the right side of, ties half: [rows] -> [rows].

    The mean over either class is the area under the ROC curve; these are the components of DeLong, DeLong and
    Clarke-Pearson 1988 (Biometrics 44:837). Zeros where a class is missing.

    >>> compute_placements(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])).tolist()
    [1.0, 0.5, 0.5, 1.0]
    """
    ups = int(positive.sum())
    downs = len(score) - ups
    if not ups or not downs:
        return np.zeros(len(score))
    order, starts = _groups(score)
    sizes = np.diff(starts, append=len(score))
    up = np.add.reduceat(positive[order].astype(np.float64), starts)
    down = sizes - up
    below = np.cumsum(down) - down + down / 2
    above = np.cumsum(up[::-1])[::-1] - up + up / 2
    found = np.empty(len(score))
    found[order] = np.where(positive[order], np.repeat(below, sizes) / downs, np.repeat(above, sizes) / ups)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """Scores beside what is true, a class a column."""

    score: Floats
    """[rows, classes]; NaN where there was no answer, which ranks last if positive and first if negative."""
    truth: Floats
    """[rows, classes]: positive above 0."""
    keep: Bools
    """[rows]: those that count."""

    def column(self, at: int) -> tuple[Floats, Bools]:
        """Scores and truths of one class, of the rows that count."""
        score, positive = self.score[self.keep, at], self.truth[self.keep, at] > 0
        return np.where(np.isnan(score), np.where(positive, -np.inf, np.inf), score), positive

    def areas(self) -> Floats:
        """Area under the ROC curve of each class against the rest, [classes]; NaN where there is no rest.

        >>> said, true = np.array([[0.1], [0.4], [0.35], [0.8]]), np.array([[0.0], [0.0], [1.0], [1.0]])
        >>> Ranked(said, true, np.ones(4, dtype=bool)).areas().tolist()
        [0.75]
        """
        found = np.full(self.truth.shape[1], np.nan)
        for at in range(len(found)):
            score, positive = self.column(at)
            if positive.any() and not positive.all():
                found[at] = compute_placements(score, positive)[positive].mean()
        return found


def tally_auc(ranked: Ranked, *, name: str = "auc") -> Tally:
    """The mean area under the ROC curve over the classes, leaving out those without a rest.

    Replicates use the area's projection on rows (Hoeffding 1948; by clusters: Obuchowski 1997, Biometrics 53:567),
    which leaves out a term of the order of one over the number of clusters.
    """
    areas, keep = ranked.areas(), ranked.keep
    placed = np.zeros(ranked.truth.shape, dtype=np.float32)
    for at in range(len(areas)):
        placed[keep, at] = compute_placements(*ranked.column(at))

    def rows(some: Ints) -> Floats:
        up = ranked.truth[some] > 0
        kept = keep[some, None]
        parts = [up, up * placed[some], ~up, ~up * placed[some]]
        return np.stack([part * kept for part in parts], axis=1).astype(np.float64)

    def area(sums: Floats) -> Floats:
        with np.errstate(invalid="ignore", divide="ignore"):
            each = sums[..., 1, :] / sums[..., 0, :] + sums[..., 3, :] / sums[..., 2, :] - areas
        return mean_known(np.asarray(each))

    return Tally((4, len(areas)), rows, {name: area}, {name: float(mean_known(areas))})


def make_pairwise_auc(ranked: Ranked, clusters: Ints, count: int) -> Statistic:
    """The same mean area as a function of the weights of `count` clusters, exactly; `clusters` [rows].

    What the positives of one cluster win against the negatives of another is counted once, [clusters, clusters].
    """
    wins, ups, downs = [], [], []
    clusters = clusters[ranked.keep]
    for at in range(ranked.truth.shape[1]):
        said, up = ranked.column(at)
        won = np.zeros((count, count))
        order = np.argsort(said[up], kind="stable")
        above, of = said[up][order], clusters[up][order]
        for other in range(count):
            below = np.sort(said[~up & (clusters == other)])
            beaten = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
            won[:, other] = np.bincount(of, weights=beaten / 2, minlength=count)
        wins.append(won)
        ups.append(np.bincount(clusters[up], minlength=count).astype(np.float64))
        downs.append(np.bincount(clusters[~up], minlength=count).astype(np.float64))

    def areas(weights: Floats) -> Floats:
        each = []
        for won, up, down in zip(wins, ups, downs, strict=True):
            pairs = (weights @ up) * (weights @ down)
            each.append(np.where(pairs > 0, ((weights @ won) * weights).sum(axis=1) / np.maximum(pairs, 1), np.nan))
        return mean_known(np.stack(each, axis=1)) if each else np.full(len(weights), np.nan)

    return areas


def is_pairwise(rows: int, clusters: int) -> bool:
    """Whether areas are resampled pair by pair: where clusters are few, and it matters."""
    return clusters <= _FEW and rows * clusters <= PAIRS


def _harmonic(x: Floats) -> Floats:
    """1 + 1/2 + ... + 1/x, continued to all x from 0 on; by its asymptotic series eight steps further up."""
    far = x + 8
    series = (
        np.log(far) + np.euler_gamma + 1 / (2 * far) - 1 / (12 * far**2) + 1 / (120 * far**4) - 1 / (252 * far**6)
    )
    return np.asarray(series - sum(1 / (x + step) for step in range(1, 9)))


def aurc(sums: Floats) -> Floats:
    """Area under the risk-coverage curve (Geifman and El-Yaniv 2017) from sums by level of confidence.

    [..., levels, 2]: rows and their summed loss at each level, the most confident first -> [...]. The mean, over
    all numbers of rows that could be accepted, of the mean loss of those; over all orders of rows of one level.

    >>> losses = np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 0.0], [1.0, 1.0]])  # right, wrong, right, wrong
    >>> round(float(aurc(losses)), 6)  # (0 + 1/2 + 1/3 + 2/4) / 4
    0.333333
    >>> float(aurc(np.array([[4.0, 2.0]])).round(12))  # confidence says nothing: the error rate
    0.5
    """
    rows, loss = sums[..., 0], sums[..., 1]
    before = np.cumsum(rows, axis=-1) - rows
    lost = np.cumsum(loss, axis=-1) - loss
    rate = loss / np.where(rows > 0, rows, 1.0)
    steps = _harmonic(before + rows) - _harmonic(before)
    whole = rows.sum(axis=-1)
    area = (rows * rate + (lost - rate * before) * steps).sum(axis=-1)
    return np.asarray(np.where(whole > 0, area / np.where(whole > 0, whole, 1.0), np.nan))


def assign_levels(confidence: Floats, most: int = LEVELS) -> tuple[Ints, int]:
    """The level of each row, 0 the most confident: one per distinct value, else `most` of about equal size.

    >>> assign_levels(np.array([0.9, 0.5, 0.9, -np.inf]))
    (array([0, 1, 0, 2]), 3)
    """
    distinct, level = np.unique(-confidence, return_inverse=True)
    if len(distinct) > most:
        counts = np.bincount(level)
        middle = np.cumsum(counts) - counts / 2
        level = np.minimum((middle * most / len(confidence)).astype(np.int64), most - 1)[level]
        return level.astype(np.int64), most
    return level.astype(np.int64), len(distinct)


def tally_aurc(confidence: Floats, loss: Floats) -> Tally:
    """`aurc` of rows with a confidence (any order-preserving number) and a loss; rows of NaN loss are left out.

    The value is exact; its interval resamples at most `LEVELS` levels of confidence.
    """
    known = np.isfinite(loss)
    level, count = assign_levels(np.where(known, confidence, -np.inf))
    exact, most = assign_levels(confidence[known], most=len(loss) + 1)
    sums = [np.bincount(exact, weights=w, minlength=most) for w in (np.ones(known.sum()), loss[known])]
    value = float(aurc(np.stack(sums, axis=1))) if known.any() else np.nan

    def rows(some: Ints) -> Floats:
        found = np.zeros((len(some), count, 2))
        each = np.arange(len(some))
        found[each, level[some], 0] = known[some]
        found[each, level[some], 1] = np.where(known[some], loss[some], 0.0)
        return found

    return Tally((count, 2), rows, {"aurc": aurc}, {"aurc": value})
