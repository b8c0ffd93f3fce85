"""What a tone is chosen from: facts, and never a word of what was said; and the conditions that rules put on them.

In a condition all that is named must hold. Bounds on the mood hold only where they are likely given the estimate's
own uncertainty, and never without a mood.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from assistant.emotion import Estimate, Mood
from assistant.profile.person import Formality, Profile

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


EmotionName = Literal["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]
Scale = Annotated[float, Meta(ge=-1, le=1)]
Probably = Annotated[float, Meta(ge=0.5, le=1, description="A probability; under one half nothing is likely.")]
Language = Annotated[str, Meta(pattern="^[a-z]{2,3}$", description="Primary subtag of BCP 47.")]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$", description="ISO 3166 alpha-2.")]
Count = Annotated[int, Meta(ge=0, le=10_000)]


class Facts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must hold; whatever is left out may be as it likes."""

    valence_above: Scale | None = None
    """Likely more pleasant than this, from -1 to 1."""
    valence_below: Scale | None = None
    arousal_above: Scale | None = None
    """Likely more activated than this, from -1 to 1."""
    arousal_below: Scale | None = None
    stress_at_least: Probably | None = None
    emotion: EmotionName | None = None
    """An emotion whose probability is `at_least`."""
    at_least: Probably | None = None
    """Of the `emotion`; one half where it is left out."""
    emotion_among: Annotated[tuple[EmotionName, ...], Meta(min_length=1, max_length=7)] | None = None
    """All emotions that can't be ruled out are among these."""
    disagreement: bool | None = None
    """Whether voice and text disagree."""
    formality: Formality | None = None
    """As the profile has it."""
    plain_language: bool | None = None
    short_sentences: bool | None = None
    languages: Annotated[tuple[Language, ...], Meta(min_length=1, max_length=64)] | None = None
    """The profile's language is one of these."""
    countries: Annotated[tuple[Country, ...], Meta(min_length=1, max_length=64)] | None = None
    """The profile's country is one of these."""
    urgency: Urgency | None = None
    """As the app declares it."""
    quiet_hours: bool | None = None
    """Whether it is a time at which the person wants to be left in peace."""
    turns_at_least: Count | None = None
    turns_at_most: Count | None = None
    goodbye: bool | None = None
    """Whether the person just took their leave."""
    repeated_at_least: Count | None = None
    """How many times in a row the same was asked again."""

    def named(self) -> tuple[str, ...]:
        """The members that say something."""
        return tuple(name for name in self.__struct_fields__ if getattr(self, name) not in (None, ()))

    def holds(self, situation: Situation) -> bool:
        """Whether all of them hold."""
        mood = situation.usable_mood
        return all(
            (mood is not None and OF_MOOD[name](value, mood, self))
            if name in OF_MOOD
            else OF_REST[name][1](value, situation)
            for name, value in zip(self.__struct_fields__, msgspec.structs.astuple(self), strict=True)
            if value is not None and name not in ("any_of", "none_of")
        )


class Condition(Facts, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must hold, all of it, and beside it any one of `any_of` and nothing of `none_of`."""

    any_of: Annotated[tuple[Facts, ...], Meta(max_length=16)] = ()
    none_of: Annotated[tuple[Facts, ...], Meta(max_length=16)] = ()

    def holds(self, situation: Situation) -> bool:
        """Whether it holds."""
        return (
            Facts.holds(self, situation)
            and (not self.any_of or any(facts.holds(situation) for facts in self.any_of))
            and not any(facts.holds(situation) for facts in self.none_of)
        )

    def facts(self) -> set[str]:
        """The names of all facts that it names anywhere."""
        return {name for _, facts in self.parts() for name in facts.named()} - {"any_of", "none_of"}

    def parts(self) -> tuple[tuple[str, Facts], ...]:
        """Every set of facts in it, each with its place."""
        return (
            ("when", self),
            *((f"when.any_of[{at}]", facts) for at, facts in enumerate(self.any_of)),
            *((f"when.none_of[{at}]", facts) for at, facts in enumerate(self.none_of)),
        )


OF_MOOD: Mapping[str, Callable[[Any, Mood, Facts], bool]] = {
    "valence_above": lambda bound, mood, _: likely(mood.valence, above=bound),
    "valence_below": lambda bound, mood, _: likely(mood.valence, below=bound),
    "arousal_above": lambda bound, mood, _: likely(mood.arousal, above=bound),
    "arousal_below": lambda bound, mood, _: likely(mood.arousal, below=bound),
    "stress_at_least": lambda bound, mood, _: mood.stress >= bound,
    "emotion": lambda name, mood, facts: mood.emotions.get(name, 0.0) >= (facts.at_least or 0.5),
    "at_least": lambda bound, mood, facts: facts.emotion is not None,
    "emotion_among": lambda names, mood, _: bool(mood.emotion_set) and set(mood.emotion_set) <= set(names),
    "disagreement": lambda wanted, mood, _: mood.disagreement is wanted,
}
"""How each fact about the mood is decided."""

OF_REST: Mapping[str, tuple[str, Callable[[Any, Situation], bool]]] = {
    "formality": ("profile.formality", lambda wanted, s: s.profile.formality == wanted),
    "plain_language": ("profile.plain_language", lambda wanted, s: s.profile.plain_language is wanted),
    "short_sentences": ("profile.short_sentences", lambda wanted, s: s.profile.short_sentences is wanted),
    "languages": ("profile.language", lambda wanted, s: s.profile.language in wanted),
    "countries": ("profile.country", lambda wanted, s: s.profile.country in wanted),
    "urgency": ("context.urgency", lambda wanted, s: s.urgency == wanted),
    "quiet_hours": ("profile.quiet_hours", lambda wanted, s: s.quiet_hours is wanted),
    "turns_at_least": ("conversation.turns", lambda bound, s: s.turns >= bound),
    "turns_at_most": ("conversation.turns", lambda bound, s: s.turns <= bound),
    "goodbye": ("conversation.goodbye", lambda wanted, s: s.goodbye is wanted),
    "repeated_at_least": ("conversation.repeated", lambda bound, s: s.repeated >= bound),
}
"""What each of the other facts is read from, and how it is decided."""

INPUT_OF: Mapping[str, str] = dict.fromkeys(OF_MOOD, "mood") | {name: read for name, (read, _) in OF_REST.items()}
"""What each fact is read from, as decisions name their inputs."""
