"""How a person usually sounds: a running mean of at most eight numbers, learned without labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from assistant.emotion import Baseline, Modality

PRIOR_COUNT = 8.0
"""Utterances' worth of trust in the population before the person's own mean counts for half."""
KNOWN_AFTER = 3
"""Utterances before a deviation from the usual is worth showing."""
_MEMORY = 200
"""The mean forgets: past this many utterances each new one counts 1/200."""


class Baselines(Protocol):
    """Where baselines are kept, for people who grant that they be remembered."""

    async def remember(self, person: str, modality: Modality, baseline: Baseline, at: float) -> None:
        """Keep one."""

    async def recall(self, person: str, modality: Modality) -> Baseline | None:
        """The one that was kept, if any."""

    async def forget(self, person: str, modality: Modality) -> None:
        """Drop it."""


def updated(baseline: Baseline, observation: Sequence[float]) -> Baseline:
    """Learn from one more utterance.

    >>> updated(updated(Baseline(), (1.0,)), (0.0,)).center
    (0.5,)
    """
    if not observation:
        return baseline
    count = baseline.count + 1
    rate = 1 / min(count, _MEMORY)
    old = baseline.center or (0.0,) * len(observation)
    return replace(
        baseline,
        count=count,
        center=tuple(a + rate * (b - a) for a, b in zip(old, observation, strict=True)),
        source="session" if baseline.source == "none" else baseline.source,
    )


def shift(baseline: Baseline, population: Sequence[float]) -> tuple[float, ...]:
    """What to subtract from a new observation: n/(n+k) of the person's distance from the population.

    >>> shift(Baseline(8, (1.0, 0.0), "session"), (0.0, 0.0))
    (0.5, 0.0)
    >>> shift(Baseline(), (0.0, 0.0))
    ()
    """
    if not baseline.count or not population:
        return ()
    strength = baseline.count / (baseline.count + PRIOR_COUNT)
    return tuple(strength * (mine - usual) for mine, usual in zip(baseline.center, population, strict=True))
