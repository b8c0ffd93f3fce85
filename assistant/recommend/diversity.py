"""Diversity: its price in expected reward, and how narrow what one person is shown has become."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from assistant.recommend.slate import Knobs

Floats = npt.NDArray[np.float64]

FEWEST = 20
"""Items shown, below which nothing is said of a bubble."""
NARROW = 0.35
"""Normalised entropy below which a person's slates count as narrow."""
DRIFTING = 0.5
"""Divergence between the earlier and the later half above which their slates count as drifting."""
OPENING = 0.3
"""The least serendipity for a person whose slates are narrow or drift while narrowing."""


def unit(vectors: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return vectors / np.where(lengths > 0, lengths, 1.0)


def greedy(scores: Floats, vectors: Floats, slots: int, serendipity: float) -> list[int]:
    """The slate of largest marginal relevance, without chance."""
    likeness = np.full(len(scores), 0.0)
    left = np.ones(len(scores), dtype=bool)
    chosen: list[int] = []
    for place in range(min(slots, len(scores))):
        marginal = scores if place == 0 else (1 - serendipity) * scores - serendipity * likeness
        row = int(np.argmax(np.where(left, marginal, -np.inf)))
        chosen.append(row)
        left[row] = False
        closeness = vectors @ vectors[row]
        likeness = closeness if place == 0 else np.maximum(likeness, closeness)
    return chosen


@dataclass(frozen=True, slots=True)
class Price:
    """What diversity costs and buys, for one slate."""

    expected_reward: float
    """Mean expected reward an item loses, on the scale of the scores."""
    likeness: float
    """By how much the mean cosine between its items falls."""


def price(scores: Floats, vectors: Floats, slots: int, serendipity: float) -> Price:
    """The greedy slate without diversity beside the greedy slate with it; chance is left out of both.

    >>> two_alike = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> cost = price(np.array([1.0, 0.9, 0.7]), two_alike, 2, 0.5)
    >>> round(cost.expected_reward, 3), cost.likeness
    (0.1, 1.0)
    """
    plain, diverse = (greedy(scores, vectors, slots, s) for s in (0.0, serendipity))
    if not plain:
        return Price(0.0, 0.0)
    lost = float(scores[plain].mean() - scores[diverse].mean())
    return Price(lost, _likeness(vectors[plain]) - _likeness(vectors[diverse]))


def _likeness(vectors: Floats) -> float:
    count = len(vectors)
    if count < 2:
        return 0.0
    return float((vectors @ vectors.T).sum() - np.einsum("ij,ij->", vectors, vectors)) / (count * (count - 1))


@dataclass(frozen=True, slots=True)
class Bubble:
    """How narrow what a person was shown is."""

    shown: int
    """Items."""
    coverage: float
    """Share of the catalogue's kinds that were among them."""
    entropy: float
    """Of the kinds shown, 0 (always one kind) to 1 (all kinds of the catalogue alike)."""
    drift: float
    """Jensen-Shannon divergence, in bits, between the kinds of the earlier and of the later half: 0 to 1."""
    narrowing: bool
    """The later half has less entropy than the earlier."""

    @property
    def acts(self) -> bool:
        """The limit is passed."""
        return self.shown >= FEWEST and (self.entropy < NARROW or (self.drift > DRIFTING and self.narrowing))


def bubble(kinds: Sequence[str], catalogue: Mapping[str, int]) -> Bubble:
    """Measure the kinds that were shown to a person, oldest first, against the catalogue's kinds and their counts.

    >>> bubble(["news"] * 30, {"news": 5, "music": 5}).entropy
    0.0
    >>> bubble(["news", "music"] * 15, {"news": 5, "music": 5}).entropy
    1.0
    """
    half = len(kinds) // 2
    early, late = _shares(kinds[:half]), _shares(kinds[half:])
    most = math.log2(len(catalogue)) if len(catalogue) > 1 else 0.0
    seen = set(kinds) & catalogue.keys()
    return Bubble(
        shown=len(kinds),
        coverage=len(seen) / len(catalogue) if catalogue else 0.0,
        entropy=min(1.0, _entropy(_shares(kinds)) / most) if most else 1.0,
        drift=_divergence(early, late),
        narrowing=_entropy(late) < _entropy(early),
    )


def opened(knobs: Knobs, seen: Bubble) -> Knobs:
    """The knobs, with more serendipity where the limit acts.

    >>> opened(Knobs(), bubble(["news"] * 30, {"news": 5, "music": 5})).serendipity
    0.3
    """
    return replace(knobs, serendipity=max(knobs.serendipity, OPENING)) if seen.acts else knobs


def _shares(kinds: Sequence[str]) -> dict[str, float]:
    return {kind: count / len(kinds) for kind, count in Counter(kinds).items()}


def _entropy(shares: Mapping[str, float]) -> float:
    return -sum(p * math.log2(p) for p in shares.values() if p > 0) + 0.0


def _divergence(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    if not one or not other:
        return 0.0
    middle = {kind: (one.get(kind, 0.0) + other.get(kind, 0.0)) / 2 for kind in {*one, *other}}
    return max(0.0, _entropy(middle) - (_entropy(one) + _entropy(other)) / 2)
