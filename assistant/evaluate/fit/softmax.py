"""Multinomial logistic regression with a ridge: the linear head of `--fit head`, and its floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assistant.arrays import Bools, Floats, Floats32, Ints
from assistant.evaluate.extras import optional

_NEVER = np.float32(-1e9)  # the logit of a class that doesn't compete for a row
_FACTORS = np.geomspace(0.1, 10, 25)


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """outputs = features @ weight.T + bias."""

    weight: Floats
    """[outputs, features]."""
    bias: Floats
    """[outputs]."""

    def __call__(self, features: Floats32) -> Floats:
        """[rows, features] -> [rows, outputs]."""
        return np.asarray(features @ self.weight.T + self.bias, dtype=np.float64)

    def scaled(self, factor: float) -> Linear:
        """The same with outputs times `factor`."""
        return Linear(self.weight * factor, self.bias * factor)


def balance(target: Ints, corpus: Ints) -> Floats:
    """Weights of rows that sum to 1: each class as heavy as the others, corpora by the root of their size.

    >>> balance(np.array([0, 0, 1]), np.array([0, 0, 0])).tolist()
    [0.25, 0.25, 0.5]
    """
    _, cell, sizes = np.unique(corpus * (target.max() + 1) + target, return_inverse=True, return_counts=True)
    weight = 1 / np.sqrt(sizes[cell])
    weight /= np.bincount(target, weight)[target]
    return np.asarray(weight / weight.sum())


def find_competing(target: Ints, corpus: Ints, classes: int) -> Bools:
    """Which classes compete for a row, [rows, classes]: a corpus without surprise says nothing about surprise.

    >>> find_competing(np.array([0, 1, 0]), np.array([0, 0, 1]), 2).tolist()
    [[True, True], [True, True], [True, False]]
    """
    present = np.zeros((int(corpus.max()) + 1, classes), dtype=bool)
    present[corpus, target] = True
    return np.asarray(present[corpus])


def fit_linear(
    features: Floats32,
    target: Ints,
    weight: Floats,
    *,
    ridge: float,
    classes: int,
    allowed: Bools | None = None,
    start: Linear | None = None,
    steps: int = 100,
    tolerance: float = 1e-4,
) -> Linear:
    """Minimise the weighted mean log loss plus ridge/2 times the squared weights of standardised features.

    `features` [rows, width] are standardised with the mean and deviation of the rows of nonzero `weight` [rows],
    which sums to 1; other rows count for nothing. The biases are free. It begins at `start` and ends after `steps`
    of L-BFGS, or when no part of the gradient exceeds `tolerance` times the ridge or 1e-5. Raises `Unavailable`
    (`extra_missing`) without SciPy.

    >>> x = np.array([[-1.0], [-0.5], [0.5], [1.0]], dtype=np.float32)
    >>> found = fit_linear(x, np.array([0, 0, 1, 1]), np.full(4, 0.25), ridge=0.1, classes=2)
    >>> found(x).argmax(axis=1).tolist()
    [0, 0, 1, 1]
    """
    used = np.flatnonzero(weight)
    x = features[used]  # the one copy, standardised in place
    center = x.mean(axis=0, dtype=np.float64)
    x -= center.astype(np.float32)
    spread = np.sqrt(np.einsum("ij,ij->j", x, x) / len(x)).astype(np.float64) + 1e-6
    x /= spread.astype(np.float32)
    aim = np.zeros((len(x), classes), dtype=np.float32)
    aim[np.arange(len(x)), target[used]] = 1
    shares = weight[used].astype(np.float32)[:, None]
    closed = None if allowed is None else ~allowed[used]
    width = x.shape[1]

    def loss(point: Floats) -> tuple[float, Floats]:
        single = point.astype(np.float32)
        slopes, bias = single[: classes * width].reshape(classes, width), single[classes * width :]
        logits = x @ slopes.T + bias
        if closed is not None:
            logits[closed] = _NEVER
        logits -= logits.max(axis=1, keepdims=True)
        chance = np.exp(logits)
        total = chance.sum(axis=1, keepdims=True)
        surprise = np.log(total) - (logits * aim).sum(axis=1, keepdims=True)
        value = float((shares * surprise).sum(dtype=np.float64)) + ridge / 2 * float(np.vdot(slopes, slopes))
        chance /= total
        chance -= aim
        chance *= shares
        gradient = chance.T @ x + np.float32(ridge) * slopes
        return value, np.concatenate([gradient.ravel(), chance.sum(axis=0)]).astype(np.float64)

    begin = np.zeros(classes * (width + 1))
    if start is not None:
        begin[: classes * width] = (start.weight * spread).ravel()
        begin[classes * width :] = start.bias + start.weight @ center
    ends = {"maxiter": steps, "gtol": max(1e-5, tolerance * ridge), "ftol": 0.0}
    optimize = optional("scipy.optimize", "fitting a head")
    point: Floats = optimize.minimize(loss, begin, jac=True, method="L-BFGS-B", options=ends).x
    slopes = point[: classes * width].reshape(classes, width) / spread
    return Linear(slopes, point[classes * width :] - slopes @ center)


def log_softmax(logits: Floats) -> Floats:
    """Logarithms of the softmax, [rows, classes]."""
    moved = logits - logits.max(axis=1, keepdims=True)
    return np.asarray(moved - np.log(np.exp(moved).sum(axis=1, keepdims=True)))


def compute_loss(logits: Floats, target: Ints, weight: Floats) -> float:
    """The weighted mean log loss; weights sum to 1.

    >>> round(compute_loss(np.array([[0.0, 0.0]]), np.array([1]), np.array([1.0])), 4)
    0.6931
    """
    return float(-(weight * log_softmax(logits)[np.arange(len(target)), target]).sum())


def fit_temperature(logits: Floats, target: Ints) -> float:
    """The factor from 0.1 to 10 that makes softmax(factor * logits) the likeliest (Guo et al. 2017).

    >>> fit_temperature(np.array([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]), np.array([0, 0, 1])) < 0.4
    True
    """
    even = np.full(len(target), 1 / len(target))

    def best(factors: Floats) -> int:
        return int(np.argmin([compute_loss(factor * logits, target, even) for factor in factors]))

    at = best(_FACTORS)  # the loss is convex in the factor, so a finer look around the best is enough
    near = np.geomspace(_FACTORS[max(0, at - 1)], _FACTORS[min(len(_FACTORS) - 1, at + 1)], 21)
    return float(near[best(near)])
