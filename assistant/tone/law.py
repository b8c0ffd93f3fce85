"""Rules that no app can switch off. They come last, after what a policy chose, and only make the tone gentler.

Each keeps some choices within bounds while something holds, and names what a reply must then never do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from assistant.tone.directive import Manner, Never, Reason
from assistant.tone.situation import Situation, likely

_SURE = 0.5
_POSSIBLE = 0.35
"""Probability of an emotion that counts together with a likely unpleasant valence."""


@dataclass(frozen=True, slots=True)
class Law:
    """Bounds on a manner, and what is never done, while something holds."""

    code: str
    says: str
    when: Callable[[Situation], bool]
    keeps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The choices that are allowed; the first replaces one that isn't."""
    never: tuple[Never, ...] = ()
    always_told: bool = False
    """It is given as a reason even where it had nothing to change."""


def may_be_angry(situation: Situation) -> bool:
    """Anger is likely, or possible in something that is likely unpleasant."""
    if (mood := situation.usable_mood) is None:
        return False
    anger = mood.emotions.get("anger", 0.0)
    return anger >= _SURE or (anger >= _POSSIBLE and likely(mood.valence, below=0.0))


def may_be_low(situation: Situation) -> bool:
    """Sadness, stress or something unpleasant is likely: nobody to sell to."""
    if (mood := situation.usable_mood) is None:
        return False
    sad = mood.emotions.get("sadness", 0.0)
    return sad >= _SURE or mood.stress >= 0.6 or likely(mood.valence, below=-0.15)


# fmt: off
LAWS: tuple[Law, ...] = (
    Law("profile_formality", "The profile asks for casual language.",
        lambda s: s.profile.formality == "casual", {"formality": ("casual",)}, always_told=True),
    Law("profile_formality", "The profile asks for formal language.",
        lambda s: s.profile.formality == "formal", {"formality": ("formal",)}, always_told=True),
    Law("profile_plain_language", "The profile asks for plain words, in short sentences.",
        lambda s: s.profile.plain_language, {"verbosity": ("brief",)}, always_told=True),
    Law("profile_short_sentences", "The profile asks for short sentences.",
        lambda s: not s.profile.plain_language and s.profile.short_sentences,
        {"verbosity": ("brief",)}, always_told=True),
    Law("law_no_words_for_feelings",
        "An estimate of expression is no knowledge of what somebody feels, and no diagnosis.",
        lambda s: True, never=("diagnose", "claim_to_know")),
    Law("law_anger", "It may be anger, which is never mirrored: calm, and no jokes.", may_be_angry,
        {"pace": ("normal", "slow"), "humour": ("avoid",), "acknowledgement": ("light", "explicit")},
        never=("mirror_anger", "upsell", "hurry")),
    Law("law_low", "It may be a low moment, which is never exploited: no hurry, no jokes, nothing for sale.",
        may_be_low, {"pace": ("normal", "slow"), "humour": ("avoid",)}, never=("upsell", "hurry")),
    Law("law_goodbye", "They are leaving, and nothing keeps them: brief, and no offers.", lambda s: s.goodbye,
        {"pace": ("normal", "slow"), "verbosity": ("brief",)}, never=("upsell", "hurry", "detain")),
    Law("safety", "Words that call for human help: calm and plain, with the way to it.", lambda s: s.crisis,
        {"warmth": ("very_warm",), "pace": ("slow",), "verbosity": ("brief",), "directness": ("gentle",),
         "acknowledgement": ("explicit",), "humour": ("avoid",)},
        never=("upsell", "hurry"), always_told=True),
)

LAWFUL_INPUTS = frozenset({
    "mood", "profile.formality", "profile.plain_language", "profile.short_sentences", "conversation.goodbye",
    "safety",
})
"""What the laws look at."""
# fmt: on


def apply_laws(manner: Manner, situation: Situation) -> tuple[Manner, tuple[Reason, ...]]:
    """The manner within all bounds, with a reason for each law that changed it or is always told.

    >>> from assistant.profile.person import Profile
    >>> manner, reasons = apply_laws(Manner(pace="brisk"), Situation(Profile(), goodbye=True))
    >>> manner.pace, manner.verbosity, [reason.code for reason in reasons]
    ('normal', 'brief', ['law_goodbye'])
    """
    reasons = []
    for law in LAWS:
        if not law.when(situation):
            continue
        sets: dict[str, Any] = {
            name: allowed[0] for name, allowed in law.keeps.items() if getattr(manner, name) not in allowed
        }
        if sets or law.always_told:
            reasons.append(Reason(law.code, law.says))
        manner = replace(manner, **sets)
    return manner, tuple(reasons)


def find_prohibitions(situation: Situation) -> tuple[Never, ...]:
    """What a reply must not do now, in the order of the laws.

    >>> from assistant.profile.person import Profile
    >>> find_prohibitions(Situation(Profile()))
    ('diagnose', 'claim_to_know')
    """
    return tuple(dict.fromkeys(never for law in LAWS if law.when(situation) for never in law.never))
