"""The ranking of a decision, as it is kept: how the slate was drawn, and why. It holds no number of a mood.

It is stored for a year and read again to take rewards and to explain. `assistant.decision` has the whole decision.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from assistant.recommend.holdout import Arm


class DecidedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One item of a slate."""

    id: str
    kind: str
    commercial: bool
    propensity: float
    """Probability of this item at this place, given those above it."""
    reason: str
    """The largest part of its score, in words."""
    codes: tuple[str, ...]
    """The parts of its score above 0, the largest first."""
    parts: dict[str, float]
    """The parts of its score, without those that the mood made."""
    own: tuple[float, float]
    """Its two features that depend on the person: match with their interests, and with their searches."""


class Diversity(msgspec.Struct, frozen=True):
    """What diversity cost and brought (`diversity.Price`), and where it came from."""

    price: float
    likeness: float
    because: Literal["asked", "bubble_limit"]


class RankingDecision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How one slate was chosen. Members that have a default are written only where they differ from it."""

    inputs: tuple[str, ...]
    """Names of what was looked at."""
    policy: str
    """Version of the ranking."""
    mood_used: bool
    arm: Arm | None
    """Of the standing experiment; None where no use of the mood was granted."""
    active: bool
    """It was shown; else rewards count only once it is activated."""
    temperature: float
    serendipity: float
    context: tuple[float, ...]
    """The moment as numbers (`features.MOMENT`)."""
    items: tuple[DecidedItem, ...]
    diversity: Diversity | None = None
    without_mood: tuple[str, ...] | None = None
    """Ids of the slate that the same chance would have drawn without the mood; None where none was used."""
    likes: int = 0
    """How many items that the person liked before were looked at."""
    taste: bool = True
    """Rewards may say what the person likes; not where they asked that nothing about them be used."""


@dataclass(frozen=True, slots=True)
class DecidedRanking:
    """A kept ranking, with whose it is."""

    person: str
    """Pseudonym."""
    at: float
    """Unix seconds."""
    ranking: RankingDecision


class DecisionBook(Protocol):
    """Where rankings are found again. `store` implements it."""

    async def find(self, app: str, decision: str) -> DecidedRanking:
        """The ranking of one of the app's decisions.

        Raises `NotFound` (`decision_unknown`), also for a decision that ranked nothing.
        """

    async def activate(self, app: str, decision: str) -> None:
        """Mark a ranking as shown. Raises `NotFound` (`decision_unknown`)."""
