"""Who was shown what: exposure by group, with intervals. A small group is insufficient evidence, never a pass."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

FEWEST = 30
"""Decisions of a group, below which nothing is said of it."""
_95 = 1.959964

Verdict = Literal["insufficient evidence", "differs", "no difference found"]


@dataclass(frozen=True, slots=True)
class Exposure:
    """One decision, as far as fairness needs it."""

    group: str
    """What the app declared; never inferred."""
    shown: bool
    """The item, the kind or the offer in question was on the slate."""


@dataclass(frozen=True, slots=True)
class Share:
    """How often a group was shown it, beside everybody else."""

    group: str
    decisions: int
    share: float
    low: float
    high: float
    """Wilson's 95 % interval of the share."""
    difference: float
    """The share minus that of all other groups."""
    difference_low: float
    difference_high: float
    """Newcombe's 95 % interval of the difference."""
    verdict: Verdict


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927); (0, 1) without any observation.

    >>> [round(end, 4) for end in wilson(5, 10)]
    [0.2366, 0.7634]
    """
    if not count:
        return 0.0, 1.0
    share, square = hits / count, _95**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = _95 * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe(hits: int, count: int, other_hits: int, other_count: int) -> tuple[float, float]:
    """The 95 % interval of a difference of shares, from Wilson's (Newcombe 1998, method 10).

    >>> [round(end, 3) for end in newcombe(56, 70, 48, 80)]
    [0.052, 0.334]
    """
    if not count or not other_count:
        return -1.0, 1.0
    share, other = hits / count, other_hits / other_count
    low, high = wilson(hits, count)
    other_low, other_high = wilson(other_hits, other_count)
    apart = share - other
    return (
        apart - math.sqrt((share - low) ** 2 + (other_high - other) ** 2),
        apart + math.sqrt((high - share) ** 2 + (other - other_low) ** 2),
    )


def shares(exposures: Sequence[Exposure], *, fewest: int = FEWEST) -> tuple[Share, ...]:
    """Each group beside all others, in the order of the names.

    "No difference found" is not "fair": the interval says which differences are still possible.
    """
    counts: dict[str, list[int]] = {}
    for one in exposures:
        count = counts.setdefault(one.group, [0, 0])
        count[0] += one.shown
        count[1] += 1
    hits, total = sum(c[0] for c in counts.values()), len(exposures)
    return tuple(_share(group, h, n, hits - h, total - n, fewest) for group, (h, n) in sorted(counts.items()))


def _share(group: str, hits: int, count: int, other_hits: int, other_count: int, fewest: int) -> Share:
    low, high = wilson(hits, count)
    apart_low, apart_high = newcombe(hits, count, other_hits, other_count)
    verdict: Verdict = "no difference found" if apart_low <= 0 <= apart_high else "differs"
    if count < fewest or other_count < fewest:
        verdict = "insufficient evidence"
    other = other_hits / other_count if other_count else 0.0
    share = hits / count
    return Share(group, count, share, low, high, share - other, apart_low, apart_high, verdict)
