"""From a situation to a directive: the policy's rules, then what is held of the tone before, then the laws.

A tone doesn't flap: it goes towards calm at once, and back only when that was wished for a while. Only what the
mood changes is held. What the profile, the context or a law asks for holds at once, and where the mood is not used
nothing is held at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from assistant.emotion import Mood
from assistant.profile.person import Profile
from assistant.tone.directive import Directive, Manner, Reason
from assistant.tone.law import apply_laws, find_prohibitions
from assistant.tone.render import difference, prompt, speech, ssml, tag
from assistant.tone.rules import SHIPPED, Policy
from assistant.tone.situation import Situation

HOLD_S = 20.0
"""Seconds for which the way back must be wished; chosen, not measured."""

CALMER: Mapping[str, tuple[str, ...]] = {
    "pace": ("brisk", "normal", "slow"),
    "verbosity": ("normal", "brief"),
    "directness": ("normal", "gentle"),
    "acknowledgement": ("none", "light", "explicit"),
    "humour": ("welcome", "avoid"),
}
"""Choices from lively to calm. The others have no such order: with them, away from the usual is the easy way."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A choice that the mood made, and what is wished in its place."""

    value: str
    rival: str | None = None
    since: float = 0.0
    """Unix seconds since when the rival was wished without a break."""


Held = Mapping[str, Kept]
"""By the name of the choice; one that isn't in it is as usual."""

NOTHING: Held = {}


def steady_manner(held: Held, wish: Manner, usual: Manner, now: float) -> tuple[Manner, Held]:
    """The manner to take, and what to hold from now on. `usual` is the manner without the mood, `now` in seconds.

    >>> calm, usual = Manner(pace="slow"), Manner()
    >>> manner, held = steady_manner(NOTHING, calm, usual, 0.0)
    >>> manner.pace
    'slow'
    >>> manner, held = steady_manner(held, usual, usual, 5.0)
    >>> manner.pace
    'slow'
    >>> steady_manner(held, usual, usual, 25.0)[0].pace
    'normal'
    """
    chosen: dict[str, Any] = {}
    kept_now: dict[str, Kept] = {}
    base = usual.choices()
    for name, wanted in wish.choices().items():
        kept = held.get(name) or Kept(base[name])
        if wanted == kept.value or _is_easy(name, kept.value, wanted, base[name]):
            kept = Kept(wanted)
        else:
            since = kept.since if kept.rival == wanted else now
            kept = Kept(wanted) if now - since >= HOLD_S else Kept(kept.value, wanted, since)
        chosen[name] = kept.value
        if kept.value != base[name] or kept.rival is not None:
            kept_now[name] = kept
    return Manner(**chosen), kept_now


def _is_easy(name: str, now: str, wanted: str, usual: str) -> bool:
    if name not in CALMER:
        return now == usual
    order = CALMER[name]
    return order.index(wanted) > order.index(now)


_DEFAULT = Reason("default", "Nothing calls for another tone.")
_STEADY = Reason("steady", "Part of the tone is still that of a moment ago, so that it does not flap.")


def choose(mood: Mood | None, profile: Profile, *, crisis: bool = False, quiet: bool = False) -> Directive:
    """The tone for a person by the shipped policy; `quiet`: in their quiet hours.

    `mood` is None where there is no consent to use it for tone, or nothing is known.
    """
    return direct(Situation(profile, mood, crisis=crisis, quiet_hours=quiet))[0]


def direct(
    situation: Situation, policy: Policy = SHIPPED, *, held: Held = NOTHING, now: float = 0.0
) -> tuple[Directive, Held]:
    """The tone for a situation at unix time `now`, and what of it to hold for the next time.

    No words of the person come in here: equal situations give equal directives, to the byte.
    """
    used = situation.usable_mood is not None
    wish, reasons = _manner_by(policy, situation)
    usual = _manner_by(policy, replace(situation, mood=None))[0] if used else wish
    manner, holding = wish, NOTHING
    if used:
        manner, holding = steady_manner(held, wish, usual, now)
        manner, _ = apply_laws(manner, situation)
        if manner != wish:
            reasons = (*reasons, _STEADY)
    never = find_prohibitions(situation)
    directive = Directive(
        manner=manner,
        reasons=reasons or (_DEFAULT,),
        without_mood=usual,
        policy=policy.version,
        mood_used=used,
        prompt=prompt(manner, never),
        never=never,
        counterfactual=difference(manner, usual, used=used),
        ssml=ssml(manner, situation.profile.language),
        tag=tag(manner),
        speech=speech(manner),
        inputs=tuple(name for name in policy.inputs() if used or name != "mood"),
        correction=policy.correction_of([reason.code for reason in reasons]) if used else None,
    )
    return directive, holding


def _manner_by(policy: Policy, situation: Situation) -> tuple[Manner, tuple[Reason, ...]]:
    """The manner by the policy and the laws, and why."""
    manner, reasons = policy.begin(), []
    for rule in policy.fired(situation):
        manner = replace(manner, **rule.sets.named())
        reasons.append(Reason(rule.code, rule.says))
    manner, by_law = apply_laws(manner, situation)
    return manner, (*reasons, *by_law)
