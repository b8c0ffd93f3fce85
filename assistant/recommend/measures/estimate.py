"""What another policy would have earned, from the logs of this one: IPS, SNIPS and doubly robust, with intervals.

Every decision is logged with the exact probability with which it was taken, so the value of a policy that was never
run can be estimated without bias, as long as the logging policy might have taken its choices too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from assistant.arrays import Floats, Ints
from assistant.bootstrap import Figure, compute_interval, draw_resamples


@dataclass(frozen=True, slots=True)
class PolicyValue(Figure):
    """The mean reward of a policy, with a bootstrap interval over clusters."""

    effective: float
    """Effective sample size, (sum w)^2 / sum w^2 (Kish 1965): as many decisions of the policy's own."""
    largest: float
    """The largest weight; where it is a large part of all, trust nothing."""


def compute_weights(target: Floats, logged: Floats, *, most: float = np.inf) -> Floats:
    """Importance weights: the target's probability of what was chosen over the logged one.

    Raises ValueError where a logged probability isn't in (0, 1]: from such a log no estimate would be right.

    >>> compute_weights(np.array([0.5, 0.0]), np.array([0.25, 0.5])).tolist()
    [2.0, 0.0]
    """
    if not np.all((logged > 0) & (logged <= 1)):
        raise ValueError("every logged propensity must be greater than 0 and at most 1")
    return np.asarray(np.minimum(target / logged, most))


def estimate_ips(
    reward: Floats, weight: Floats, *, clusters: Ints | None = None, seed: int = 0, replicates: int = 2000
) -> PolicyValue:
    """Inverse propensity scoring (Horvitz & Thompson 1952): the mean of w r. Unbiased, of large variance."""
    return _estimate_ratio(weight * reward, np.ones_like(reward), weight, clusters, seed, replicates)


def estimate_snips(
    reward: Floats, weight: Floats, *, clusters: Ints | None = None, seed: int = 0, replicates: int = 2000
) -> PolicyValue:
    """Self-normalised IPS (Swaminathan & Joachims 2015): sum w r / sum w. A little bias, far less variance."""
    return _estimate_ratio(weight * reward, weight, weight, clusters, seed, replicates)


def estimate_doubly_robust(
    reward: Floats,
    weight: Floats,
    predicted: Floats,
    expected: Floats,
    *,
    clusters: Ints | None = None,
    seed: int = 0,
    replicates: int = 2000,
) -> PolicyValue:
    """Doubly robust (Dudik, Langford & Li 2011): the mean of expected + w (r - predicted).

    `predicted` is a model's reward for what was chosen, `expected` its mean under the target policy. Unbiased where
    the propensities are right, whatever the model; the better the model, the narrower. Fit the model on other rows.
    """
    return _estimate_ratio(
        expected + weight * (reward - predicted), np.ones_like(reward), weight, clusters, seed, replicates
    )


def estimate_gain(
    reward: Floats, weight: Floats, *, clusters: Ints | None = None, seed: int = 0, replicates: int = 2000
) -> PolicyValue:
    """What the target earns beyond the policy that logged: the mean of (w - 1) r, by IPS row by row."""
    return _estimate_ratio((weight - 1) * reward, np.ones_like(reward), weight, clusters, seed, replicates)


def estimate_mean_weight(
    weight: Floats, *, clusters: Ints | None = None, seed: int = 0, replicates: int = 2000
) -> PolicyValue:
    """The mean of the weights, which is 1 where propensities are right and the log could take every choice."""
    return _estimate_ratio(weight, np.ones_like(weight), weight, clusters, seed, replicates)


def _estimate_ratio(
    top: Floats, bottom: Floats, weight: Floats, clusters: Ints | None, seed: int, replicates: int
) -> PolicyValue:
    """The ratio of sums, and its bootstrap interval over whole clusters (each row is one by default)."""
    of = np.arange(len(top)) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    count = int(of.max(initial=-1)) + 1
    tops, bottoms = (np.bincount(of, weights=x, minlength=count) for x in (top, bottom))
    drawn = [np.empty(0)]
    for picks in draw_resamples(count, replicates if count > 1 else 0, np.random.default_rng(seed)):
        below = bottoms[picks].sum(axis=1)
        drawn.append(tops[picks].sum(axis=1) / np.where(below > 0, below, np.nan))
    low, high = compute_interval(np.concatenate(drawn))
    square = float(weight @ weight)
    return PolicyValue(
        value=float(tops.sum() / bottoms.sum()) if bottoms.sum() > 0 else float("nan"),
        low=low,
        high=high,
        effective=float(weight.sum()) ** 2 / square if square else 0.0,
        largest=float(weight.max(initial=0.0)),
    )
