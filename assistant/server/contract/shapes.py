"""What HTTP answers and events of a stream show: the mood, the tone, what is recommended, the way to help."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from assistant.conversation.session import GPC, Answer, Limit
from assistant.emotion import STATEMENT, Estimate, Modality, Mood, Reading
from assistant.profile.person import Formality
from assistant.recommend.ranking import Recommendation
from assistant.text.crisis import Safety
from assistant.tone import directive as tone


class Quantity(msgspec.Struct):
    """A number with its standard deviation, both on the scale from -1 to 1."""

    mean: float
    deviation: float


class ShownReading(msgspec.Struct):
    """What one modality says. An estimate of expression."""

    modality: Modality
    valence: Quantity
    arousal: Quantity
    stress: float
    """A probability."""
    emotions: dict[str, float]
    statement: str = STATEMENT


class FromUsual(msgspec.Struct):
    """How far from what is usual for this person; null while that is not known."""

    valence: float | None
    arousal: float | None


class MoodEvidence(msgspec.Struct):
    """How much one modality counted; `correction`: the person said themself how it is."""

    modality: Modality | Literal["correction"]
    weight: float
    age_s: float


class CurrentMood(msgspec.Struct, kw_only=True):
    """Readings fused over modalities and time; numbers are null where it abstained. An estimate of expression."""

    valence: Quantity | None
    arousal: Quantity | None
    stress: float | None
    emotions: dict[str, float]
    from_usual: FromUsual
    deviation: FromUsual
    """Deprecated: the old name of `from_usual`, which goes with the next version."""
    emotion_set: Sequence[str]
    """Emotions that can't be ruled out, likeliest first: sad or neutral, say. Empty where that can't be said."""
    confidence: float
    unsure: Sequence[str]
    """What is too uncertain to be said, as codes."""
    abstained: str | None
    disagreement: bool
    evidence: list[MoodEvidence]
    baseline: Literal["none", "session", "stored"]
    at: float
    """Unix seconds."""
    expires_at: float
    """Unix seconds."""
    statement: str = STATEMENT


class ToneDirective(msgspec.Struct):
    """The tone to take, why, and what it would have been without the mood."""

    warmth: tone.Warmth
    formality: Formality
    pace: tone.Pace
    verbosity: tone.Verbosity
    directness: tone.Directness
    acknowledgement: tone.Acknowledgement
    humour: tone.Humour
    never: Sequence[tone.Never]
    """What a reply must not do now, whatever the tone."""
    reasons: Sequence[tone.Reason]
    without_mood: tone.Manner
    counterfactual: str
    """What would be different without the mood, in words."""
    mood_used: bool
    policy: str
    prompt: str
    """A fragment for a system prompt."""
    ssml: str
    """A document of SSML 1.1; `<mark name="reply"/>` stands for the reply."""
    tag: str
    """The manner in one short line, for message metadata."""
    speech: tone.Speech
    """The manner in numbers, for engines of speech."""


class RecommendedItem(msgspec.Struct):
    """One ranked item; the score is the sum of its parts."""

    id: str
    title: str
    kind: str
    language: str
    commercial: bool
    score: float
    parts: dict[str, float]
    propensity: float
    reason: str


class HeldLimit(msgspec.Struct):
    """Something that was not done, as the person or their browser asked."""

    code: str
    says: str


class HeldLimits(msgspec.Struct):
    """What was not done, as the person or their browser asked."""

    gpc: bool
    """The request or the stream came with `Sec-GPC: 1`, which was obeyed."""
    limits: list[HeldLimit]


class WayToHelp(msgspec.Struct):
    """Where there is human help."""

    level: Literal["crisis"]
    rule: str
    message: str
    resources: Sequence[str]


class ShownAnswer(msgspec.Struct, kw_only=True):
    """What came of something that a person wrote."""

    mood: CurrentMood | None
    directive: ToneDirective
    recommendations: list[RecommendedItem]
    decision: str
    safety: WayToHelp | None
    quiet_hours: bool
    gpc: bool
    limits: list[HeldLimit]
    disclosure: str | None
    """What to tell the person of whom they talk to, where that is due."""


def _quantity(estimate: Estimate) -> Quantity:
    return Quantity(round(estimate.mean, 4), round(estimate.deviation, 4))


def show_reading(reading: Reading) -> ShownReading:
    """The reading as the API shows it."""
    return ShownReading(
        reading.modality,
        _quantity(reading.valence),
        _quantity(reading.arousal),
        round(reading.stress, 4),
        {name: round(p, 4) for name, p in reading.emotions.items()},
    )


def show_mood(mood: Mood) -> CurrentMood:
    """The mood as the API shows it; the numbers are null when it abstained."""
    said = mood.abstained is None
    from_usual = FromUsual(*(_rounded(mood.from_usual.get(name)) for name in ("valence", "arousal")))
    return CurrentMood(
        valence=_quantity(mood.valence) if said else None,
        arousal=_quantity(mood.arousal) if said else None,
        stress=round(mood.stress, 4) if said else None,
        emotions={name: round(p, 4) for name, p in mood.emotions.items()} if said else {},
        from_usual=from_usual,
        deviation=from_usual,
        emotion_set=mood.emotion_set if said else (),
        confidence=round(mood.confidence, 4),
        unsure=mood.unsure,
        abstained=mood.abstained,
        disagreement=mood.disagreement,
        evidence=[MoodEvidence(e.modality, round(e.weight, 4), round(e.age_s, 3)) for e in mood.evidence],
        baseline=mood.baseline,
        at=round(mood.at, 3),
        expires_at=round(mood.expires_at, 3),
    )


def show_directive(directive: tone.Directive) -> ToneDirective:
    """The tone as the API shows it."""
    return ToneDirective(
        **directive.manner.choices(),
        never=directive.never,
        reasons=directive.reasons,
        without_mood=directive.without_mood,
        counterfactual=directive.counterfactual,
        mood_used=directive.mood_used,
        policy=directive.policy,
        prompt=directive.prompt,
        ssml=directive.ssml,
        tag=directive.tag,
        speech=directive.speech,
    )


def show_item(ranked: Recommendation) -> RecommendedItem:
    """One ranked item as the API shows it."""
    item = ranked.item
    return RecommendedItem(
        item.id,
        item.title,
        item.kind,
        item.language,
        item.commercial,
        round(ranked.score, 4),
        {name: round(part, 4) for name, part in ranked.parts.items()},
        round(ranked.propensity, 6),
        ranked.reason,
    )


def show_help(safety: Safety) -> WayToHelp:
    """The way to help as the API shows it."""
    return WayToHelp("crisis", safety.rule, safety.message, safety.resources)


def show_limits(held: Sequence[Limit]) -> HeldLimits:
    """What was not done, as the person asked."""
    return HeldLimits(GPC in held, [HeldLimit(limit.code, limit.says) for limit in held])


def show_answer(answer: Answer, disclosure: str | None = None) -> ShownAnswer:
    """The answer to something that a person wrote or said."""
    held = show_limits(answer.limits)
    return ShownAnswer(
        mood=None if answer.mood is None else show_mood(answer.mood),
        directive=show_directive(answer.directive),
        recommendations=[show_item(ranked) for ranked in answer.recommendations],
        decision=answer.decision,
        safety=None if answer.safety is None else show_help(answer.safety),
        quiet_hours=answer.quiet_hours,
        gpc=held.gpc,
        limits=held.limits,
        disclosure=disclosure,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
