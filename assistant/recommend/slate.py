"""Drawing a slate, with the exact probability of every place.

A slate is drawn from the softmax of the scores without replacement (Plackett & Luce), by adding Gumbel noise and
taking the largest (Kool et al. 2019). The noise comes from the decision's id, so a choice can be replayed.

With diversity, each place is drawn from the softmax of what remains, its scores lowered by their likeness to what
stands above (maximal marginal relevance, Carbonell & Goldstein 1998). So the re-ranking is part of the
distribution, and the probability of a place given those above it stays exact.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.arrays import Floats

TEMPERATURE = 0.05
"""Of the softmax: small, so that little is explored."""
_BLOCK = 512
"""Rows that are summed first; the row is then looked for inside one block of them."""
COLDEST = 1e-4
"""Lowest temperature: as good as no exploration, and every propensity still positive."""


@dataclass(frozen=True, slots=True)
class Knobs:
    """How a slate is drawn."""

    temperature: float = TEMPERATURE
    exploration_budget: float | None = None
    """Most expected score that the first place may lose to chance; lowers the temperature where it loses more."""
    serendipity: float = 0.0
    """0: the best scores. Towards 1: ever less like what stands above."""

    def __post_init__(self) -> None:
        if not self.temperature >= COLDEST:
            raise ValueError(f"a temperature is at least {COLDEST}, not {self.temperature}")
        if not 0 <= self.serendipity <= 1:
            raise ValueError(f"serendipity lies between 0 and 1, not {self.serendipity}")


def generator(seed: str, stream: str = "") -> np.random.Generator:
    """Randomness that belongs to a decision; each stream of it is independent of the others."""
    digest = hashlib.sha256(f"{seed}{stream and chr(0) + stream}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16]))


def expected_loss(scores: Floats, temperature: float) -> float:
    """Expected score that the first place loses to chance: the best minus the softmax's mean.

    >>> round(expected_loss(np.array([1.0, 0.0]), 1.0), 4)  # 1 / (1 + e)
    0.2689
    """
    if not len(scores):
        return 0.0
    best = scores.max()
    weights = np.exp((scores - best) / temperature)
    return float(best - weights @ scores / weights.sum())


def temperature_of(scores: Floats, knobs: Knobs) -> float:
    """The knob's temperature, or the highest that keeps to the exploration budget.

    The loss grows with the temperature (its derivative is the variance over the temperature squared), so bisection
    finds it. Give scores without the mood: how much is explored must not depend on it.

    >>> cold = temperature_of(np.array([1.0, 0.0]), Knobs(temperature=1.0, exploration_budget=0.1))
    >>> round(expected_loss(np.array([1.0, 0.0]), cold), 3)
    0.1
    """
    high = knobs.temperature
    if knobs.exploration_budget is None or expected_loss(scores, high) <= knobs.exploration_budget:
        return high
    low = COLDEST
    for _ in range(20):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if expected_loss(scores, middle) <= knobs.exploration_budget else (low, middle)
    return low


@dataclass(frozen=True, slots=True)
class Drawn:
    """One place of a slate."""

    row: int
    propensity: float
    """Probability of this row at this place, given those above it."""


def draw(scores: Floats, noise: Floats, slots: int, temperature: float) -> list[Drawn]:
    """The first `slots` places; `noise` is standard Gumbel, one number a row. A score of -inf is never drawn.

    There must be as many other rows as there are slots, or no -inf at all.
    """
    count = min(slots, len(scores))
    if not count:
        return []
    logits = scores / temperature
    keys = logits + noise
    top = np.argpartition(-keys, count - 1)[:count]
    top = top[np.argsort(-keys[top], kind="stable")]
    weights = np.exp(logits - logits.max())
    chosen = weights[top]
    weights[top] = 0.0
    left = weights.sum() + np.cumsum(chosen[::-1])[::-1]
    # what is improbable beyond the range of numbers is drawn as if the rest were not there
    shares = np.divide(chosen, left, out=np.full(count, 1.0 / len(scores)), where=left > 0)
    return [Drawn(int(row), float(share)) for row, share in zip(top, shares, strict=True)]


def draw_diverse(
    scores: Floats,
    vectors: npt.NDArray[np.floating[Any]],
    slots: int,
    temperature: float,
    serendipity: float,
    rng: np.random.Generator,
) -> list[Drawn]:
    """The first `slots` places, each drawn from the softmax of its marginal relevance.

    Marginal relevance is (1 - s) x score - s x the largest cosine to a row above; `vectors` [rows, k] have length 1
    or 0. The first place is drawn by the score alone.
    """
    slate: list[Drawn] = []
    logits = scores / temperature
    base = (1 - serendipity) * logits if serendipity < 1 else np.where(np.isneginf(scores), -np.inf, 0.0)
    likeness: npt.NDArray[np.floating[Any]] = np.empty(0)
    weights = np.empty_like(logits)
    for place in range(min(slots, len(scores))):
        np.subtract(logits, logits.max(), out=weights)
        np.exp(weights, out=weights)
        row, total = _drawn_row(weights, rng.random())
        slate.append(Drawn(row, float(weights[row] / total)))
        base[row] = -np.inf
        closeness = vectors @ vectors[row]
        likeness = closeness if place == 0 else np.maximum(likeness, closeness, out=likeness)
        np.multiply(likeness, -serendipity / temperature, out=logits)
        logits += base
    return slate


def _drawn_row(weights: Floats, luck: float) -> tuple[int, float]:
    """The row that `luck`, uniform in [0, 1), picks when each row is as wide as its weight; and the sum of weights.

    >>> _drawn_row(np.array([1.0, 0.0, 3.0]), 0.25)
    (2, 4.0)
    """
    if len(weights) <= 4 * _BLOCK:
        ends = weights.cumsum()
        total = float(ends[-1])
        row = min(int(ends.searchsorted(luck * total, side="right")), len(weights) - 1)
    else:
        starts = np.arange(0, len(weights), _BLOCK)
        ends = np.add.reduceat(weights, starts).cumsum()
        total = float(ends[-1])
        block = min(int(ends.searchsorted(luck * total, side="right")), len(starts) - 1)
        begun = float(ends[block - 1]) if block else 0.0
        inside = weights[starts[block] : starts[block] + _BLOCK].cumsum()
        row = min(int(inside.searchsorted(luck * total - begun, side="right")), len(inside) - 1)
        row += int(starts[block])
    if weights[row] == 0:  # rounding at an end
        row = int(weights.argmax())
    return row, total


AMONG = 500
"""Best items from which a slate is compared with a diverse one."""


def unit(vectors: Floats) -> Floats:
    """Rows of length 1; a row of zeros stays.

    >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))[:, None]
    return vectors / np.where(lengths > 0, lengths, 1.0)


def greedy(scores: Floats, vectors: npt.NDArray[np.floating[Any]], slots: int, serendipity: float) -> list[int]:
    """The slate of largest marginal relevance, without chance. No score may be -inf."""
    likeness: npt.NDArray[np.floating[Any]] = np.zeros(len(scores))
    base = (1 - serendipity) * scores
    chosen: list[int] = []
    for place in range(min(slots, len(scores))):
        row = int(np.argmax(scores if place == 0 else base - serendipity * likeness))
        chosen.append(row)
        base[row] = -np.inf
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


def price(scores: Floats, vectors: npt.NDArray[np.floating[Any]], slots: int, serendipity: float) -> Price:
    """The greedy slate without diversity beside the greedy slate with it; chance is left out of both.

    Of many items only the `AMONG` with the best scores are looked at. A score of -inf is left out.

    >>> two_alike = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    >>> cost = price(np.array([1.0, 0.9, 0.7]), two_alike, 2, 0.5)
    >>> round(cost.expected_reward, 3), cost.likeness
    (0.1, 1.0)
    """
    if len(scores) > max(AMONG, slots):
        best = np.argpartition(scores, -max(AMONG, slots))[-max(AMONG, slots) :]
        scores, vectors = scores[best], vectors[best]
    there = np.isfinite(scores)
    scores, vectors = scores[there], vectors[there]
    if not min(slots, len(scores)):
        return Price(0.0, 0.0)
    plain = (-scores).argsort(kind="stable")[:slots]
    diverse = greedy(scores, vectors, slots, serendipity)
    lost = float(scores[plain].mean() - scores[diverse].mean())
    return Price(lost, _likeness(vectors[plain]) - _likeness(vectors[diverse]))


def _likeness(vectors: npt.NDArray[np.floating[Any]]) -> float:
    count = len(vectors)
    if count < 2:
        return 0.0
    return float((vectors @ vectors.T).sum() - np.einsum("ij,ij->", vectors, vectors)) / (count * (count - 1))
