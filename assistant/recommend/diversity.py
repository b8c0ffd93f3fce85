"""Diversity: the slate of largest marginal relevance without chance, and its price in expected reward."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from assistant.arrays import Floats

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
