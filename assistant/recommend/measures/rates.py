"""What recommendations came to: of the slates that were shown, how many were clicked, finished, bought from.

What was shown is known here as far as measures need it: no score, no mood, no text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np

from assistant.bootstrap import Figure
from assistant.recommend.feedback import Kind
from assistant.recommend.holdout import Arm, Uplift, measure_uplift
from assistant.recommend.measures.interval import estimate_mean, estimate_share


@dataclass(frozen=True, slots=True)
class Piece:
    """One item on a slate."""

    item: str
    kind: str
    commercial: bool


@dataclass(frozen=True, slots=True)
class Came:
    """One reward."""

    kind: Kind
    reward: float
    """In [0, 1]."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One slate that was shown."""

    person: str
    """Pseudonym."""
    at: float
    """Unix seconds."""
    pieces: tuple[Piece, ...]
    came: tuple[Came, ...] = ()
    arm: Arm | None = None
    """Of the standing experiment; None where the person let no mood be used for content."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The latest slates of an app, newest first, without those of people whose data may not be used."""

    shown: Sequence[Shown]
    read: int
    """Decisions that were read; also those of a tone alone, and what was ranked ahead and never shown."""
    since: float
    """Unix seconds: nothing older was read."""
    whole: bool
    """Everything since then was read; else it was too much, and the oldest is missing."""


FEWEST = 30
"""People, below which no rate is told."""


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates of some slates."""

    people: int
    slates: int
    kinds: Mapping[Kind, Figure] = field(default_factory=dict)
    """Kind of reward to the share of slates with at least one such; empty for too few people."""
    reward: Figure | None = None
    """Mean of people's rewards for a slate; None for too few people."""


def get_best_reward(one: Shown) -> float:
    """The best reward that came of a slate; 0 where none came.

    So an app that tells of clicks alone isn't taken for one whose people like everything.
    """
    return max((came.reward for came in one.came), default=0.0)


def group_by_person(shown: Sequence[Shown]) -> dict[str, list[Shown]]:
    """The slates of each person."""
    found: dict[str, list[Shown]] = {}
    for one in shown:
        found.setdefault(one.person, []).append(one)
    return found


def compute_rates(shown: Sequence[Shown]) -> Rates:
    """The rates with 95 % intervals over people.

    >>> compute_rates([Shown("p", 0.0, ())]).kinds
    {}
    """
    people = group_by_person(shown)
    if len(people) < FEWEST:
        return Rates(len(people), len(shown))
    slates = np.array([float(len(theirs)) for theirs in people.values()])
    found = {}
    for kind in get_args(Kind):
        hits = [sum(any(came.kind == kind for came in one.came) for one in theirs) for theirs in people.values()]
        found[kind] = estimate_share(np.array(hits, dtype=np.float64), slates)
    rewards = np.array([float(np.mean([get_best_reward(one) for one in theirs])) for theirs in people.values()])
    return Rates(len(people), len(shown), found, estimate_mean(rewards))


def split_by_arm(shown: Sequence[Shown]) -> dict[Arm, list[Shown]]:
    """The slates of those who let their mood be used for content, by the arm of the standing experiment."""
    return {arm: [one for one in shown if one.arm == arm] for arm in get_args(Arm)}


def compare_arms(shown: Sequence[Shown]) -> Uplift:
    """What the mood was worth: each arm's rewards for a slate, by person."""
    return measure_uplift(
        {
            arm: [[get_best_reward(one) for one in theirs] for theirs in group_by_person(slates).values()]
            for arm, slates in split_by_arm(shown).items()
        }
    )
