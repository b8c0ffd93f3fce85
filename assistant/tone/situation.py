"""What a tone is chosen from: facts, and never a word of what was said."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from assistant.emotion import Estimate, Mood
from assistant.profile.person import Profile

Urgency = Literal["low", "normal", "high"]

_LIKELY = 0.7


@dataclass(frozen=True, slots=True)
class Situation:
    """A person's profile, their mood as far as it may be used, and where the conversation stands."""

    profile: Profile
    mood: Mood | None = None
    """None where there is no consent to use it for tone, or nothing is known."""
    crisis: bool = False
    """Words that call for human help."""
    quiet_hours: bool = False
    urgency: Urgency = "normal"
    """As the app declares it."""
    turns: int = 1
    """Of this conversation so far, with this one."""
    goodbye: bool = False
    """They just took their leave."""
    repeated: int = 0
    """How many times in a row the same was asked again."""

    @property
    def usable_mood(self) -> Mood | None:
        """The mood, where there is one and it did not abstain."""
        return self.mood if self.mood is not None and self.mood.abstained is None else None


def likely(estimate: Estimate, *, above: float | None = None, below: float | None = None) -> bool:
    """Whether the quantity lies beyond a bound with probability of at least .7, taken as normal.

    >>> likely(Estimate(0.5, 0.2), above=0.2), likely(Estimate(0.5, 0.9), above=0.2)
    (True, False)
    """
    bound = above if above is not None else below
    assert bound is not None
    p_below = 0.5 * (1 + math.erf((bound - estimate.mean) / (estimate.deviation * math.sqrt(2))))
    return (1 - p_below if above is not None else p_below) >= _LIKELY
