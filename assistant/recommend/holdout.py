"""The standing experiment: a fixed share of people whose recommendations never know the mood.

What the mood is worth is the difference between the others' rewards and theirs. Unless it is significant, the
report says so and advises to turn the mood off: an inference about a person must earn its place.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from assistant.arrays import Floats
from assistant.bootstrap import Figure, compute_interval, draw_resamples

Arm = Literal["mood", "blind"]

SHARE = 0.1
"""Of people who are held out."""
FEWEST = 30
"""People in each arm, below which there is no verdict."""

ADVICE = {
    "helps": "the mood raises the reward; keep it, and keep measuring",
    "harms": "the mood lowers the reward: turn it off for content",
    "not significant": "the mood's uplift is not significant: turn it off for content until it is shown to help",
    "insufficient evidence": "too few people in an arm to say anything: nothing speaks for using the mood yet",
}
"""What a report advises, by its verdict."""


def assign_arm(pseudonym: str, *, salt: str, share: float = SHARE) -> Arm:
    """The arm of a person: the same on every worker and for good, and unrelated to everything about them.

    Give the pseudonym, never the id, and the app's own salt: so apps hold out different people.

    >>> assign_arm("p", salt="app", share=0.0), assign_arm("p", salt="app", share=1.0)
    ('mood', 'blind')
    """
    digest = hashlib.blake2b(f"{salt}\0{pseudonym}".encode(), digest_size=8, person=b"holdout").digest()
    return "blind" if int.from_bytes(digest) < share * 2**64 else "mood"


@dataclass(frozen=True, slots=True)
class Uplift:
    """What the mood was worth."""

    people: dict[str, int]
    """By arm."""
    reward: dict[str, float]
    """Mean reward of a person, by arm."""
    figure: Figure
    """The mood's arm less the other, with a bootstrap interval over people."""
    verdict: str
    advice: str


def measure_uplift(
    rewards: Mapping[Arm, Sequence[Sequence[float]]], *, replicates: int = 2000, seed: int = 0
) -> Uplift:
    """Compare the arms: `rewards` holds, for each arm, the rewards of each person.

    Each person counts once, by their mean reward, so that nobody's many decisions pass for many people. People
    without any reward are left out. The interval is the percentile bootstrap (Efron 1979) over people, by arm.

    >>> same = [[0.0, 1.0], [1.0], [0.0]] * 20
    >>> measure_uplift({"mood": same, "blind": same}).verdict
    'not significant'
    """
    means = {
        name: np.array([float(np.mean(one)) for one in rewards.get(name, ()) if len(one)])
        for name in ("mood", "blind")
    }
    people = {name: len(values) for name, values in means.items()}
    reward = {name: float(values.mean()) if len(values) else 0.0 for name, values in means.items()}
    low, high = -1.0, 1.0
    if min(people.values()) >= 2:
        random = np.random.default_rng(seed)
        drawn = {name: _draw_means(values, replicates, random) for name, values in means.items()}
        low, high = compute_interval(drawn["mood"] - drawn["blind"])
    if min(people.values()) < FEWEST:
        verdict = "insufficient evidence"
    else:
        verdict = "helps" if low > 0 else "harms" if high < 0 else "not significant"
    figure = Figure(reward["mood"] - reward["blind"], low, high)
    return Uplift(people, reward, figure, verdict, ADVICE[verdict])


def _draw_means(values: Floats, replicates: int, random: np.random.Generator) -> Floats:
    """Means of people drawn with replacement, [replicates]."""
    return np.concatenate([values[picks].mean(axis=1) for picks in draw_resamples(len(values), replicates, random)])
