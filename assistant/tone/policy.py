"""From a situation to a directive: the policy's rules, then what is held of the tone before, then the laws."""

from __future__ import annotations

from dataclasses import replace

from assistant.emotion import Mood
from assistant.profile.person import Profile
from assistant.tone.directive import Directive, Manner, Reason
from assistant.tone.law import apply_laws, find_prohibitions
from assistant.tone.render import difference, prompt, tag
from assistant.tone.rules import SHIPPED, Policy
from assistant.tone.situation import Situation
from assistant.tone.speech import speech, ssml
from assistant.tone.steady import NOTHING, Held, steady_manner

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
