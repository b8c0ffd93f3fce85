"""Moods, manners, situations and policies to choose a tone from: examples, and strategies for any."""

from __future__ import annotations

from dataclasses import asdict
from typing import get_args

from hypothesis import settings
from hypothesis import strategies as st

from assistant.emotion import EMOTIONS, Estimate, Mood
from assistant.profile.person import Formality, Profile
from assistant.tone import directive, situation
from assistant.tone.directive import Directive, Manner
from assistant.tone.policy import HOLD_S, direct
from assistant.tone.rules import SHIPPED, Choices, Policy, ToneRule
from assistant.tone.situation import Situation

few = settings(max_examples=30, deadline=None)

PLAIN = Profile()


def mood(
    valence: float = 0.0,
    arousal: float = 0.0,
    stress: float = 0.1,
    *,
    deviation: float = 0.1,
    confidence: float | None = None,
    **emotions: float,
) -> Mood:
    return Mood(
        valence=Estimate(valence, deviation),
        arousal=Estimate(arousal, deviation),
        stress=stress,
        emotions=emotions or {"neutral": 1.0},
        evidence=(),
        at=0.0,
        expires_at=900.0,
        confidence=max(0.0, 1 - deviation / 0.6) if confidence is None else confidence,
    )


SAD, TENSE = mood(-0.6, -0.5, sadness=1.0), mood(-0.1, 0.5, 0.9)
ANGRY, LIVELY = mood(-0.6, 0.6, anger=0.9, neutral=0.1), mood(0.7, 0.5, joy=1.0)

SITUATIONS = {
    "profile_polite_address": Situation(Profile(language="de")),
    "profile_quiet_hours": Situation(PLAIN, quiet_hours=True),
    "context_urgent": Situation(PLAIN, urgency="high"),
    "state_repeated": Situation(PLAIN, repeated=2),
    "state_goodbye": Situation(PLAIN, goodbye=True),
    "mood_pleasant": Situation(PLAIN, LIVELY),
    "mood_low": Situation(PLAIN, SAD),
    "mood_low_for_long": Situation(PLAIN, SAD, turns=6),
    "mood_angry": Situation(PLAIN, ANGRY),
    "mood_stressed": Situation(PLAIN, TENSE),
}
"""A situation in which each rule fires; alone, but for the one that it comes after."""
AFTER = {"mood_low_for_long": "mood_low"}


def settled(situation: Situation, policy: Policy = SHIPPED) -> Directive:
    """The directive once it was wished for long enough."""
    _, held = direct(situation, policy)
    return direct(situation, policy, held=held, now=HOLD_S)[0]


def codes(said: Directive) -> list[str]:
    return [reason.code for reason in said.reasons]


moods = st.builds(
    mood,
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.floats(0, 1),
    deviation=st.floats(0.01, 3),
    anger=st.floats(0, 1),
)
profiles = st.builds(
    Profile, formality=st.sampled_from(get_args(Formality)), plain_language=st.booleans(), language=st.just("en")
)
manners = st.builds(
    Manner,
    warmth=st.sampled_from(get_args(directive.Warmth)),
    formality=st.sampled_from(get_args(Formality)),
    pace=st.sampled_from(get_args(directive.Pace)),
    verbosity=st.sampled_from(get_args(directive.Verbosity)),
    directness=st.sampled_from(get_args(directive.Directness)),
    acknowledgement=st.sampled_from(get_args(directive.Acknowledgement)),
    humour=st.sampled_from(get_args(directive.Humour)),
)


facts = st.builds(
    situation.Facts,
    valence_above=st.none() | st.floats(-1, 1),
    valence_below=st.none() | st.floats(-1, 1),
    stress_at_least=st.none() | st.floats(0.5, 1),
    emotion=st.none() | st.sampled_from(EMOTIONS),
    urgency=st.none() | st.sampled_from(["low", "normal", "high"]),
    goodbye=st.none() | st.booleans(),
    repeated_at_least=st.none() | st.integers(0, 3),
)
choices = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(get_args(Formality if name == "formality" else getattr(directive, name.capitalize())))
        for name in asdict(Manner())
    },
).map(lambda said: Choices(**said))
policies = st.builds(
    Policy,
    version=st.just("theirs"),
    manner=choices,
    rules=st.lists(
        st.builds(
            ToneRule,
            code=st.just("theirs"),
            says=st.just("Theirs."),
            when=st.builds(situation.Condition, any_of=st.lists(facts, max_size=2).map(tuple)),
            sets=choices,
        ),
        max_size=6,
    ).map(tuple),
)
feelings = st.builds(
    mood,
    st.floats(-1, 1),
    st.floats(-1, 1),
    st.floats(0, 1),
    deviation=st.floats(0.01, 1),
    anger=st.floats(0, 1),
    sadness=st.floats(0, 1),
)
situations = st.builds(
    Situation,
    profile=profiles,
    mood=st.none() | feelings,
    crisis=st.booleans(),
    quiet_hours=st.booleans(),
    urgency=st.sampled_from(["low", "normal", "high"]),
    turns=st.integers(1, 40),
    goodbye=st.booleans(),
    repeated=st.integers(0, 4),
)
held_tones = st.lists(manners, max_size=3)
many = settings(max_examples=150, deadline=None)
