"""The tone, as a few enumerated choices."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from assistant.profile.person import Formality

Warmth = Literal["plain", "warm", "very_warm"]
Pace = Literal["slow", "normal", "brisk"]
Verbosity = Literal["brief", "normal"]
Directness = Literal["gentle", "normal"]
Acknowledgement = Literal["none", "light", "explicit"]
Humour = Literal["welcome", "avoid"]


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak."""

    warmth: Warmth = "warm"
    formality: Formality = "neutral"
    pace: Pace = "normal"
    verbosity: Verbosity = "normal"
    directness: Directness = "normal"
    acknowledgement: Acknowledgement = "none"
    humour: Humour = "welcome"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule fired."""

    code: str
    says: str


@dataclass(frozen=True, slots=True)
class Directive:
    """The tone to take, why, and what it would have been without the mood."""

    manner: Manner
    reasons: tuple[Reason, ...]
    without_mood: Manner
    policy: str
    """Version of the rules."""
    mood_used: bool
    prompt: str
    """A fragment for a system prompt, made only of enumerated sentences."""

    def as_json(self) -> dict[str, Any]:
        """As the API shows it."""
        return {
            **asdict(self.manner),
            "reasons": [asdict(reason) for reason in self.reasons],
            "without_mood": asdict(self.without_mood),
            "mood_used": self.mood_used,
            "policy": self.policy,
            "prompt": self.prompt,
        }
