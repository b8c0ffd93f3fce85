"""Logistic regression with a ridge, in plain numpy: the offline model of the recommendation tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from assistant.arrays import Bools, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Logistic:
    """A fitted model."""

    weights: Floats
    """[features]."""
    intercept: float

    def logits(self, rows: Floats) -> Floats:
        """[rows, features] -> [rows]."""
        return np.asarray(rows @ self.weights + self.intercept)


def fit(rows: Floats, positive: Bools, *, ridge: float, steps: int = 30) -> Logistic:
    """Minimise the log loss plus ridge/2 times the squared weights, by Newton's method; the intercept is free.

    With more features than rows it solves in the rows' space (Woodbury), so a step costs rows cubed.

    >>> x = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    >>> bool(fit(x, np.array([False, False, True, True]), ridge=1.0).weights[0] > 0.5)
    True
    """
    count = len(rows)
    gram = rows @ rows.T / ridge
    dual, intercept = np.zeros(count), 0.0
    target = positive.astype(np.float64)
    for _ in range(steps):
        logits = gram @ dual + intercept
        chance = 1 / (1 + np.exp(-np.clip(logits, -30, 30)))
        curve = np.maximum(chance * (1 - chance), 1e-6)
        working = logits + (target - chance) / curve
        # (K + W^-1) a + b = z, with the a summing to 0: the dual of weighted least squares
        system = np.block(
            [[gram + np.diag(1 / curve), np.ones((count, 1))], [np.ones((1, count)), np.zeros((1, 1))]]
        )
        solved = np.linalg.solve(system, np.append(working, 0.0))
        moved = float(np.abs(solved[:-1] - dual).max(initial=0.0))
        dual, intercept = solved[:-1], float(solved[-1])
        if moved < 1e-8:
            break
    return Logistic(rows.T @ dual / ridge, intercept)


def one_hot(values: Sequence[object]) -> Floats:
    """[rows, distinct values], in their sorted order.

    >>> one_hot(["b", "a"]).tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    names = sorted(set(values), key=str)
    return np.array([[float(value == name) for name in names] for value in values]).reshape(len(values), len(names))


def crossed(one: Floats, other: Floats) -> Floats:
    """All products, [rows, a] and [rows, b] -> [rows, a b]."""
    return (one[:, :, None] * other[:, None, :]).reshape(len(one), -1)


def standard(columns: Floats) -> Floats:
    """Columns with mean 0 and deviation 1; a constant one becomes 0."""
    deviation = columns.std(axis=0)
    return np.asarray((columns - columns.mean(axis=0)) / np.where(deviation > 0, deviation, 1.0))
