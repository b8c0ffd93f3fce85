"""From mood and profile to a tone: a table of rules, each with a reason. Later rules win over earlier ones.

A rule fires only on what is likely given the estimate's own uncertainty; an unsure mood changes nothing. The table
never mirrors anger, never presses on sadness, and never claims to know what someone feels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from assistant.emotion import Estimate, Mood
from assistant.profile.person import Profile
from assistant.tone.directive import Directive, Manner, Reason
from assistant.tone.render import prompt

VERSION = "tone-1"
_LIKELY = 0.7


def likely(estimate: Estimate, *, above: float | None = None, below: float | None = None) -> bool:
    """Whether the quantity lies beyond a bound with probability of at least .7, taken as normal.

    >>> likely(Estimate(0.5, 0.2), above=0.2), likely(Estimate(0.5, 0.9), above=0.2)
    (True, False)
    """
    bound = above if above is not None else below
    assert bound is not None
    p_below = 0.5 * (1 + math.erf((bound - estimate.mean) / (estimate.deviation * math.sqrt(2))))
    return (1 - p_below if above is not None else p_below) >= _LIKELY


@dataclass(frozen=True, slots=True)
class MoodRule:
    """Changes the manner when the mood fits."""

    code: str
    says: str
    when: Callable[[Mood], bool]
    sets: dict[str, Any]


MOOD_RULES: tuple[MoodRule, ...] = (
    MoodRule(
        "mood_pleasant",
        "It sounds pleasant and lively, so the pace may be too.",
        lambda m: likely(m.valence, above=0.2) and likely(m.arousal, above=0.0),
        {"pace": "brisk"},
    ),
    MoodRule(
        "mood_low",
        "It sounds unpleasant and low in energy: gentle, with an acknowledgement.",
        lambda m: likely(m.valence, below=-0.15) and likely(m.arousal, below=0.0),
        {"warmth": "very_warm", "directness": "gentle", "acknowledgement": "explicit", "humour": "avoid"},
    ),
    MoodRule(
        "mood_angry",
        "It sounds like anger, which is never mirrored: plain, brief and to the point.",
        lambda m: m.emotions.get("anger", 0.0) >= 0.5 and likely(m.valence, below=0.0),
        {"warmth": "plain", "verbosity": "brief", "acknowledgement": "light", "humour": "avoid"},
    ),
    MoodRule(
        "mood_stressed",
        "It sounds stressed: calmer, slower, shorter.",
        lambda m: m.stress >= 0.6,
        {
            "warmth": "very_warm",
            "pace": "slow",
            "verbosity": "brief",
            "acknowledgement": "light",
            "humour": "avoid",
        },
    ),
)

_CRISIS = Reason("safety", "Words that call for human help: calm and plain, with the way to it.")
_CRISIS_SETS: dict[str, Any] = {
    "warmth": "very_warm",
    "pace": "slow",
    "verbosity": "brief",
    "directness": "gentle",
    "acknowledgement": "explicit",
    "humour": "avoid",
}


def choose(mood: Mood | None, profile: Profile, *, crisis: bool = False, quiet: bool = False) -> Directive:
    """The tone for a person; `quiet`: in their quiet hours.

    `mood` is None where there is no consent to use it for tone, or nothing is known.
    """
    brief = profile.plain_language or profile.short_sentences or quiet
    manner = Manner(formality=profile.formality, verbosity="brief" if brief else "normal")
    reasons = []
    if profile.formality != "neutral":
        reasons.append(Reason("profile_formality", "The profile asks for this formality."))
    if profile.plain_language:
        reasons.append(Reason("profile_plain_language", "The profile asks for short sentences."))
    if profile.short_sentences and not profile.plain_language:
        reasons.append(Reason("profile_short_sentences", "The profile asks for short sentences."))
    if quiet:
        reasons.append(Reason("profile_quiet_hours", "These are the person's quiet hours: brief."))
    without = replace(manner, **_CRISIS_SETS) if crisis else manner
    used = mood is not None and mood.abstained is None
    if mood is not None and used:
        for rule in MOOD_RULES:
            if rule.when(mood):
                manner = replace(manner, **rule.sets)
                reasons.append(Reason(rule.code, rule.says))
    if crisis:
        manner = replace(manner, **_CRISIS_SETS)
        reasons.append(_CRISIS)
    if not reasons:
        reasons.append(Reason("default", "Nothing calls for another tone."))
    return Directive(
        manner=manner,
        reasons=tuple(reasons),
        without_mood=without,
        policy=VERSION,
        mood_used=used,
        prompt=prompt(manner),
    )
