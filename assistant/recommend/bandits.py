"""Learning from rewards: one Gaussian belief over the shared weights, for LinUCB and for Thompson sampling.

The belief is Bayesian linear regression with known noise: precision A = ridge I + sum x x', moment b = sum r x.
Both are sums, so the order of rewards doesn't matter and workers that saw the same rewards believe the same. The
covariance A^-1 is carried along by the formula of Sherman and Morrison (1950), exactly.

The features are an outer product of context and item (`features`), and the context is the same for all items of a
request. So the belief is first folded over the context into one over an item's numbers, 16 instead of 176, and a
hundred thousand items cost milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from assistant.arrays import Floats
from assistant.recommend.features import SIZE
from assistant.recommend.slate import generator

Algorithm = Literal["linucb", "thompson"]

RIDGE = 1.0
"""Prior precision of each weight."""


@dataclass(frozen=True, slots=True, eq=False)
class Belief:
    """A Gaussian belief over the weights."""

    precision: Floats
    """[d, d]."""
    covariance: Floats
    """[d, d]: its inverse."""
    moment: Floats
    """[d]."""
    mean: Floats
    """[d]: the ridge regression's weights, covariance times moment."""
    count: int
    """Rewards learned from."""

    def learn(self, features: Floats, target: float) -> Belief:
        """The belief after one more reward; takes d squared steps."""
        step = self.covariance @ features
        gain = step / (1 + features @ step)
        return Belief(
            self.precision + np.outer(features, features),
            self.covariance - np.outer(gain, step),
            self.moment + target * features,
            self.mean + gain * (target - features @ self.mean),
            self.count + 1,
        )


def prior(size: int = SIZE, ridge: float = RIDGE) -> Belief:
    """Nothing learned yet.

    >>> belief = prior(2).learn(np.array([1.0, 0.0]), 1.0)
    >>> belief.mean.tolist()  # shrunk half way to 0 by the prior
    [0.5, 0.0]
    """
    return Belief(ridge * np.eye(size), np.eye(size) / ridge, np.zeros(size), np.zeros(size), 0)


def restore(precision: Floats, moment: Floats, count: int) -> Belief:
    """A belief from its sums, as they were kept."""
    inverse = np.linalg.inv(precision)
    inverse = (inverse + inverse.T) / 2
    return Belief(precision, inverse, moment, inverse @ moment, count)


@dataclass(frozen=True, slots=True)
class Exploration:
    """How the uncertain is explored, and how much."""

    algorithm: Algorithm = "linucb"
    width: float = 0.1
    """LinUCB: standard deviations added to the mean (Li et al. 2010). Thompson: by which the deviation of the drawn
    weights is multiplied (Agrawal & Goyal 2013)."""


_LINUCB = Exploration()


@dataclass(frozen=True, slots=True, eq=False)
class Folded:
    """The belief over an item's numbers in one context, and how it is explored."""

    mean: Floats
    """[k]."""
    covariance: Floats
    """[k, k]."""
    width: float
    """Of the exploration."""
    drawn: Floats | None
    """[k]: what Thompson sampling adds to an item's weights; None for LinUCB. It is drawn once a decision, from its
    seed: given it, the propensities of the slate are exact."""

    def expected(self, numbers: Floats) -> Floats:
        """Expected reward of each item, [items, k] -> [items]."""
        return np.asarray(numbers @ self.mean)

    def bonus(self, numbers: npt.NDArray[np.floating[Any]]) -> Floats:
        """What exploring adds to the expected reward of each item, [items, k] -> [items]."""
        if self.drawn is not None:
            return np.asarray(numbers @ self.drawn)
        variance = np.einsum("ik,ik->i", numbers @ self.covariance.astype(numbers.dtype), numbers)
        np.maximum(variance, 0.0, out=variance)
        return np.asarray(self.width * np.sqrt(variance, out=variance))


def fold(belief: Belief, context: Floats, how: Exploration = _LINUCB, seed: str = "") -> Folded:
    """The belief in a context of c numbers: mean (c' x I) m and covariance (c' x I) S (c x I).

    `seed`: of all chance in the decision.
    """
    size = len(context)
    each = len(belief.moment) // size
    half = context @ belief.covariance.reshape(size, each * size * each)
    covariance = context @ half.reshape(each, size, each).transpose(1, 0, 2).reshape(size, each * each)
    mean, covariance = context @ belief.mean.reshape(size, each), covariance.reshape(each, each)
    drawn: Floats | None = None
    if how.algorithm == "thompson":
        values, vectors = np.linalg.eigh(covariance)
        scale = np.sqrt(np.maximum(values, 0.0)) * generator(seed, "weights").standard_normal(each)
        drawn = np.asarray(how.width * (vectors @ scale))
    return Folded(mean, covariance, how.width, drawn)
