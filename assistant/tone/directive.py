"""The tone, as a few enumerated choices."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from assistant.profile.person import Formality
from assistant.tone.situation import EmotionName, Scale

Warmth = Literal["plain", "warm", "very_warm"]
Pace = Literal["slow", "normal", "brisk"]
Verbosity = Literal["brief", "normal"]
Directness = Literal["gentle", "normal"]
Acknowledgement = Literal["none", "light", "explicit"]
Humour = Literal["welcome", "avoid"]
Never = Literal["diagnose", "claim_to_know", "mirror_anger", "upsell", "hurry", "detain"]
"""What a reply must not do, whatever else is chosen. There is no choice that would allow it again."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How to speak. None of the choices is unkind: there is no way to ask for an angry tone."""

    warmth: Warmth = "warm"
    formality: Formality = "neutral"
    pace: Pace = "normal"
    verbosity: Verbosity = "normal"
    directness: Directness = "normal"
    acknowledgement: Acknowledgement = "none"
    humour: Humour = "welcome"

    def choices(self) -> dict[str, Any]:
        """Each choice by its name, in their order."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rule fired."""

    code: str
    says: str


@dataclass(frozen=True, slots=True)
class Speech:
    """How a voice should say it, for engines that take numbers. One is what is usual for the voice."""

    rate: float = 1.0
    """Times the usual speed."""
    pitch: float = 1.0
    """Times the usual pitch."""
    volume: float = 1.0
    """Times the usual amplitude; at most 1."""


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
    never: tuple[Never, ...] = ()
    counterfactual: str = ""
    """What would be different without the mood, in words."""
    ssml: str = ""
    """A document of SSML 1.1 in which `<mark name="reply"/>` stands for the reply."""
    tag: str = ""
    """The manner in one short line."""
    speech: Speech = Speech()
    inputs: tuple[str, ...] = ()
    """Names of what was looked at."""
    correction: OfferedCorrection | None = None
    """What the person can say where the last rule that read their mood was wrong about it."""


class OfferedCorrection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the person can say of themself instead: the body of `POST /v1/people/{person}/mood/corrections`."""

    stress: bool | UnsetType = UNSET
    valence: Scale | UnsetType = UNSET
    """From -1 (unpleasant) to 1 (pleasant)."""
    arousal: Scale | UnsetType = UNSET
    """From -1 (calm) to 1 (activated)."""
    emotion: EmotionName | UnsetType = UNSET

    def named(self) -> dict[str, bool | float | str]:
        """The members that are given."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
