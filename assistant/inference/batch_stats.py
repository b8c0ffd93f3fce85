"""Statistics of a batcher since the process started, for the metrics."""

from __future__ import annotations

import bisect

SIZES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0)
"""Upper bounds of the counted batch sizes, in rows."""
LATENESS_S = (0.0, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds of the counted lateness, in seconds; 0 counts results in time."""


class Distribution:
    """Counts of values by upper bound, and their sum.

    >>> sizes = Distribution((1.0, 2.0))
    >>> for size in (1, 2, 2, 9):
    ...     sizes.observe(size)
    >>> sizes.cumulative(), sizes.total
    ([1, 3, 4], 14.0)
    """

    __slots__ = ("_counts", "bounds", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.total = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float) -> None:
        """Add one value to the counts."""
        self._counts[bisect.bisect_left(self.bounds, value)] += 1
        self.total += value

    def cumulative(self) -> list[int]:
        """For each bound, how many values were at most that; the last number is the count of all."""
        sums, total = [], 0
        for count in self._counts:
            total += count
            sums.append(total)
        return sums


class BatchStats:
    """Statistics of one batcher. Only the event loop writes them."""

    __slots__ = ("lateness_s", "refused_busy", "refused_late", "sizes")

    def __init__(self) -> None:
        self.sizes = Distribution(SIZES)
        """Batch sizes, in rows."""
        self.lateness_s = Distribution(LATENESS_S)
        """Seconds from a row's deadline to its result; 0 where it came in time."""
        self.refused_busy = 0
        """Rows refused because too many waited."""
        self.refused_late = 0
        """Rows dropped because their result would have come too late."""
