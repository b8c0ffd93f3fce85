"""Intervals by resampling whole clusters, in bounded memory whatever the number of rows.

A figure is a formula of sums over rows: rows are added up once, and a replicate is one product of weights and sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
import numpy.typing as npt

from assistant import bootstrap
from assistant.arrays import Floats, Ints
from assistant.bootstrap import Figure, Statistic
from assistant.evaluate.figures.metrics import Formula

MANY = 10_000
"""Clusters that are drawn one by one; of more, random ones are drawn together."""
_ROOM = 4_000_000  # most numbers in one block of anything: 32 MB


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Sums over rows, and the figures that are formulas of them."""

    shape: tuple[int, ...]
    """Shape of the sums of one row."""
    of: Callable[[Ints], Floats]
    """Numbers of rows, [some], to what they add, [some, *shape]."""
    formulas: Mapping[str, Formula]
    """Sums, [..., *shape], to one value each, [...]."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Values known better than by the formula, which then serves the interval only."""

    @classmethod
    def from_rows(cls, rows: Floats, formulas: Mapping[str, Formula]) -> Tally:
        """Of a table in memory, [rows, ...]."""
        return cls(rows.shape[1:], lambda some: rows[some], formulas)

    @property
    def width(self) -> int:
        """Numbers in the sums of one row."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Rows in the order of their clusters."""

    order: Ints
    """[rows]: numbers of rows, those of a cluster side by side."""
    cluster: Ints
    """[rows]: cluster of each row, in that order."""
    count: int
    """Number of clusters."""

    @classmethod
    def from_clusters(cls, clusters: Ints) -> Layout:
        """From the cluster of each row; clusters are numbered from 0."""
        order = np.argsort(clusters, kind="stable").astype(np.int64)
        return cls(order, clusters[order], int(clusters.max(initial=-1)) + 1)

    def slices(self, width: int) -> Iterator[tuple[int, int]]:
        """Ranges of clusters whose sums of `width` numbers fit one block."""
        step = max(1, _ROOM // max(1, width))
        return ((first, min(first + step, self.count)) for first in range(0, self.count, step))

    def totals(self, tallies: Sequence[Tally], first: int, last: int) -> Floats:
        """Sums of the clusters from `first` to before `last`, all tallies side by side: [clusters, widths]."""
        width = sum(one.width for one in tallies)
        found = np.zeros((last - first, width))
        start, end = np.searchsorted(self.cluster, [first, last])
        step = max(1, _ROOM // max(1, width))
        for at in range(int(start), int(end), step):
            stop = min(at + step, int(end))
            rows, where = self.order[at:stop], self.cluster[at:stop] - first
            block = np.concatenate([one.of(rows).reshape(len(rows), -1) for one in tallies], axis=1)
            begins = np.flatnonzero(np.diff(where, prepend=-1))
            found[where[begins]] += np.add.reduceat(block, begins, axis=0)
        return found


def merge_clusters(clusters: Ints, strata: Ints | None = None, *, seed: int, most: int = MANY) -> Ints:
    """Clusters as they are, or above `most` random ones together, of one stratum each: [rows] twice -> [rows].

    Sums of independent clusters are as independent, so intervals and tests over them hold; they cost less.

    >>> merge_clusters(np.array([0, 1, 2, 3, 4]), seed=0, most=2).tolist()
    [0, 0, 1, 0, 1]
    """
    count = int(clusters.max(initial=-1)) + 1
    if count <= most:
        return clusters
    strata = np.zeros_like(clusters) if strata is None else strata
    each = max(1, most // (int(strata.max()) + 1))
    mixed = np.random.default_rng(seed).permutation(count)[clusters] % each
    _, found = np.unique(strata * each + mixed, return_inverse=True)
    return np.asarray(found, dtype=np.int64)


def split_sums(sums: Floats, tallies: Sequence[Tally]) -> Iterator[tuple[Tally, Floats]]:
    """Sums of tallies side by side, [..., widths], as each tally's own, [..., *shape]."""
    at = 0
    for one in tallies:
        yield one, sums[..., at : at + one.width].reshape(*sums.shape[:-1], *one.shape)
        at += one.width


def compute_figures(
    tallies: Sequence[Tally],
    clusters: Ints,
    *,
    free: Mapping[str, Statistic] | None = None,
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Figure]:
    """Each figure with its interval over whole clusters, [rows] -> figures; see `bootstrap.compute_figures`.

    `free` are statistics of the clusters' weights themselves. All figures see the same resamples. Above `MANY`
    clusters, random ones are drawn together.

    >>> right = Tally.from_rows(np.array([[1.0], [1.0], [0.0]]), {"hits": lambda sums: sums[..., 0]})
    >>> compute_figures([right], np.arange(3), replicates=200)["hits"]
    Figure(value=2.0, low=0.0, high=3.0)
    """
    layout = Layout.from_clusters(merge_clusters(clusters, seed=seed))
    width = sum(one.width for one in tallies)
    weights = _draw_weights(layout.count, replicates if layout.count > 1 else 0, seed)
    whole, drawn = np.zeros(width), np.zeros((len(weights), width))
    for first, last in layout.slices(width):
        totals = layout.totals(tallies, first, last)
        whole += totals.sum(axis=0)
        drawn += weights[:, first:last].astype(np.float64) @ totals
    found: dict[str, Figure] = {}
    both = zip(split_sums(whole[None], tallies), split_sums(drawn, tallies), strict=True)
    for (one, sums), (_, resampled) in both:
        for name, formula in one.formulas.items():
            value = one.values.get(name, float(formula(sums)[0]))
            found[name] = Figure(value, *bootstrap.compute_interval(formula(resampled)))
    return found | bootstrap.compute_figures(free or {}, layout.count, replicates=replicates, seed=seed)


def _draw_weights(count: int, replicates: int, seed: int) -> npt.NDArray[np.uint16]:
    """How often each cluster is drawn, [replicates, clusters]."""
    found = np.empty((replicates, count), dtype=np.uint16)
    at = 0
    for block in bootstrap.draw_weights(count, replicates, seed):
        found[at : at + len(block)] = block
        at += len(block)
    return found
