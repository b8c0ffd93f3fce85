"""Intervals of shares and means over people: many decisions by one person are not many people."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from assistant.arrays import Floats
from assistant.bootstrap import Figure

Z95 = NormalDist().inv_cdf(0.975)
"""Standard deviations to each side that hold 95 % of a normal distribution."""
_FEW = 10


def widen_z(comparisons: int, *, error: float = 0.05) -> float:
    """Standard deviations to each side, so that of so many comparisons none errs, but with this probability.

    Bonferroni's bound.

    >>> round(widen_z(1), 3), round(widen_z(10), 3)
    (1.96, 2.807)
    """
    return NormalDist().inv_cdf(1 - error / (2 * max(1, comparisons)))


def wilson_interval(hits: float, count: float, z: float = Z95) -> tuple[float, float]:
    """The interval of a share (Wilson 1927); (0, 1) without any observation.

    >>> [round(end, 4) for end in wilson_interval(5, 10)]
    [0.2366, 0.7634]
    """
    if not count:
        return 0.0, 1.0
    share, square = hits / count, z**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = z * math.sqrt(max(0.0, share * (1 - share)) / count + square / (4 * count**2)) / (1 + square / count)
    return max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < count else 1.0


def newcombe_interval(
    hits: float, count: float, other_hits: float, other_count: float, z: float = Z95
) -> tuple[float, float]:
    """The interval of a difference of shares, from Wilson's (Newcombe 1998, method 10).

    >>> [round(end, 3) for end in newcombe_interval(56, 70, 48, 80)]
    [0.052, 0.334]
    """
    if not count or not other_count:
        return -1.0, 1.0
    share, other = hits / count, other_hits / other_count
    low, high = wilson_interval(hits, count, z)
    other_low, other_high = wilson_interval(other_hits, other_count, z)
    apart = share - other
    return apart - math.hypot(share - low, other_high - other), apart + math.hypot(high - share, other - other_low)


def count_effective(hits: Floats, trials: Floats) -> tuple[float, float]:
    """A share over people, and of how many independent trials it is worth (Kish 1965; Korn & Graubard 1998).

    `hits` and `trials` are each person's. The variance of the share is the jackknife's over people, and all trials
    are worth no more than they are many. Where fewer than `_FEW` people were hit, or were not, it can't be known
    how much people differ: then each person counts as one, less where some have far more trials than others.

    >>> count_effective(np.array([1.0, 0.0, 1.0, 0.0] * 10), np.ones(40))[0]
    0.5
    >>> count_effective(np.array([9.0, 0.0] * 20), np.full(40, 9.0))[1] < 41  # of 40 people of two sorts
    True
    """
    asked = trials > 0
    hits, trials = hits[asked], trials[asked]
    total = float(trials.sum())
    if not total:
        return 0.0, 0.0
    share, people = float(hits.sum()) / total, total**2 / float(trials @ trials)
    if len(trials) < 2 or not 0 < share < 1:
        return share, people
    without = (hits - share * trials) / (total - trials)
    variance = (len(trials) - 1) / len(trials) * float(without @ without)
    count = min(total, share * (1 - share) / variance) if variance else total
    few = min(np.count_nonzero(hits), np.count_nonzero(hits < trials)) < _FEW
    return share, min(count, people) if few else count


def estimate_share(hits: Floats, trials: Floats, z: float = Z95) -> Figure:
    """A share over people, with Wilson's interval of as many trials as they are worth."""
    value, count = count_effective(hits, trials)
    return Figure(value, *wilson_interval(value * count, count, z))


def compare_shares(
    hits: Floats, trials: Floats, other_hits: Floats, other_trials: Floats, z: float = Z95
) -> Figure:
    """The difference of two such shares, with Newcombe's interval."""
    value, count = count_effective(hits, trials)
    other, other_count = count_effective(other_hits, other_trials)
    return Figure(value - other, *newcombe_interval(value * count, count, other * other_count, other_count, z))


def estimate_mean(values: Floats, z: float = Z95) -> Figure:
    """The mean of people's numbers in [0, 1], with a normal interval; say nothing of fewer than some dozen."""
    value, half = float(values.mean()), z * _standard_error(values)
    return Figure(value, max(0.0, value - half), min(1.0, value + half))


def compare_means(values: Floats, others: Floats, z: float = Z95) -> Figure:
    """The difference of two such means; variances may differ (Welch 1947)."""
    value = float(values.mean() - others.mean())
    half = z * math.hypot(_standard_error(values), _standard_error(others))
    return Figure(value, value - half, value + half)


def _standard_error(values: Floats) -> float:
    return float(values.std(ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else math.inf
