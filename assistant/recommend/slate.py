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

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TEMPERATURE = 0.05
"""Of the softmax: small, so that little is explored."""
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
    return np.random.default_rng(list(digest[:16]))


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
    scores: Floats, vectors: Floats, slots: int, temperature: float, serendipity: float, rng: np.random.Generator
) -> list[Drawn]:
    """The first `slots` places, each drawn from the softmax of its marginal relevance.

    Marginal relevance is (1 - s) x score - s x the largest cosine to a row above; `vectors` [rows, k] have length 1
    or 0. The first place is drawn by the score alone.
    """
    count = min(slots, len(scores))
    likeness = np.zeros(len(scores))
    found: list[Drawn] = []
    taken = np.isneginf(scores)
    scores = np.where(taken, 0.0, scores)
    for place in range(count):
        marginal = scores if place == 0 else (1 - serendipity) * scores - serendipity * likeness
        logits = np.where(taken, -np.inf, marginal / temperature)
        weights = np.exp(logits - logits.max())
        row = int(np.searchsorted(np.cumsum(weights), rng.random() * weights.sum(), side="right"))
        row = min(row, len(scores) - 1)
        if taken[row] or weights[row] == 0:  # rounding at the very end
            row = int(np.argmax(weights))
        found.append(Drawn(row, float(weights[row] / weights.sum())))
        taken[row] = True
        closeness = vectors @ vectors[row]
        likeness = closeness if place == 0 else np.maximum(likeness, closeness)
    return found
