"""A figure with its 95 % interval, and the percentile bootstrap over whole clusters that gives it (Efron 1979)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from assistant.arrays import Floats, Ints

Statistic = Callable[[Floats], Floats]
"""Weights of the clusters, [replicates, clusters], to one value each, [replicates]; NaN where undefined."""

_ROOM = 4_000_000
"""Most numbers in one block of resamples: 32 MB."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A number with its 95 % interval; NaN where undefined."""

    value: float
    low: float
    high: float


def draw_resamples(count: int, replicates: int, random: np.random.Generator) -> Iterator[Ints]:
    """Draw `count` of as many things with replacement: their numbers in blocks of replicates, [some, count].

    How the blocks are cut changes no number.
    """
    some = max(1, _ROOM // max(1, count))
    for start in range(0, replicates, some):
        yield random.integers(count, size=(min(some, replicates - start), count))


def draw_weights(count: int, replicates: int, seed: int) -> Iterator[Ints]:
    """The same as how often each thing is drawn, [some, count].

    >>> [block.tolist() for block in draw_weights(3, 2, seed=0)]
    [[[0, 2, 1], [3, 0, 0]]]
    """
    for picks in draw_resamples(count, replicates, np.random.default_rng(seed)):
        places = picks + count * np.arange(len(picks))[:, None]
        yield np.bincount(places.ravel(), minlength=picks.size).reshape(picks.shape)


def compute_interval(drawn: Floats) -> tuple[float, float]:
    """The 2.5th and 97.5th percentile of the replicates that are defined; NaN where most are not."""
    known = drawn[np.isfinite(drawn)]
    if not len(known) or 2 * len(known) < len(drawn):
        return np.nan, np.nan
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)


def compute_figures(
    statistics: Mapping[str, Statistic], clusters: int, *, replicates: int = 1000, seed: int = 0
) -> dict[str, Figure]:
    """Each statistic of `clusters` clusters with its interval.

    All statistics see the same resamples. Replicates in which a statistic is undefined are left out of its
    interval; there is none (NaN) with fewer than two clusters, or where most replicates are undefined.
    """
    drawn: dict[str, list[Floats]] = {name: [np.empty(0)] for name in statistics}
    for block in draw_weights(clusters, replicates if clusters > 1 else 0, seed):
        for name, statistic in statistics.items():
            drawn[name].append(statistic(block.astype(np.float64)))
    whole = np.ones((1, clusters))
    return {
        name: Figure(float(statistic(whole)[0]), *compute_interval(np.concatenate(drawn[name])))
        for name, statistic in statistics.items()
    }
