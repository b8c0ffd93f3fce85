"""How a person usually sounds: a running mean of at most eight numbers, learned without labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from assistant.emotion import NO_BASELINE, Baseline, Modality, Usual

PRIOR_COUNT = 4.0
"""Utterances after which the person's own mean counts as much as that of the population."""
BLUR = 2.0
"""Noise in a stored baseline, in standard deviations between speakers."""
STORED_COUNT = 1
"""Utterances that a stored baseline counts for: with that noise it deserves a fifth of the trust."""
KNOWN_AFTER = 3
"""Utterances before a deviation from the baseline is shown."""
_MEMORY = 200
"""The mean forgets: after this many utterances each new one counts 1/200."""


class Baselines(Protocol):
    """Storage of baselines, for people who granted `remember`."""

    async def remember(self, person: str, modality: Modality, baseline: Baseline, at: float) -> None:
        """Store a baseline at Unix time `at`."""

    async def recall(self, person: str, modality: Modality) -> Baseline | None:
        """The stored baseline, if any."""

    async def forget(self, person: str, modality: Modality) -> None:
        """Remove the stored baseline."""


def update_baseline(baseline: Baseline, observation: Sequence[float], model: str = "") -> Baseline:
    """The baseline after one more utterance, as `model` observed it.

    Observations of different models are not comparable: with another model the baseline starts again from nothing.

    >>> update_baseline(update_baseline(Baseline(), (1.0,)), (0.0,)).center
    (0.5,)
    """
    if not observation:
        return baseline
    if baseline.model != model or len(baseline.center) != len(observation):
        baseline = NO_BASELINE
    count = baseline.count + 1
    rate = 1 / min(count, _MEMORY)
    old = baseline.center or (0.0,) * len(observation)
    return replace(
        baseline,
        count=count,
        center=tuple(a + rate * (b - a) for a, b in zip(old, observation, strict=True)),
        source="session" if baseline.source == "none" else baseline.source,
        model=model,
    )


def blur_baseline(baseline: Baseline, spread: Sequence[float], normal: Callable[[], float]) -> Baseline:
    """The baseline as it may be stored: too vague to identify the speaker, still better than none.

    Each number gets noise of `BLUR` times its `spread` between speakers; `normal` draws from the standard normal
    distribution. Without a spread nothing is added: the two numbers of a text identify nobody.

    >>> blur_baseline(Baseline(20, (1.0, 0.0), "session"), (0.2, 0.4), lambda: 1.0)
    Baseline(count=1, center=(1.4, 0.8), source='session', model='')
    """
    if not spread:
        return baseline
    center = tuple(x + BLUR * width * normal() for x, width in zip(baseline.center, spread, strict=True))
    return replace(baseline, count=min(baseline.count, STORED_COUNT), center=center)


def usual_from(baseline: Baseline, population: Sequence[float], model: str = "") -> Usual | None:
    """How this person differs from the population: n/(n+k) of the distance, and trust n/(n+k).

    None if nothing is known yet, or only from another model. The mean of n observations of a person, shrunk towards
    that of all people, is the posterior mean if both are normally distributed; k is the ratio of the variances
    (Efron & Morris 1973).

    >>> usual_from(Baseline(4, (1.0, 0.0), "session"), (0.0, 0.0))
    Usual(shift=(0.5, 0.0), trust=0.5)
    >>> usual_from(Baseline(), (0.0, 0.0))
    """
    if not baseline.count or baseline.model != model or len(baseline.center) != len(population):
        return None
    trust = baseline.count / (baseline.count + PRIOR_COUNT)
    shift = tuple(trust * (mine - most) for mine, most in zip(baseline.center, population, strict=True))
    return Usual(shift, trust)
