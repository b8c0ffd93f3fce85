"""Corrections: what a person says about their own mood. They replace estimates until the session ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from assistant.emotion import Estimate, Evidence, Mood

Dimension = Literal["stress", "valence", "arousal", "emotion"]

DIMENSIONS: tuple[Dimension, ...] = ("stress", "valence", "arousal", "emotion")
_SURE = 0.1
"""Standard deviation of what a person says about themselves."""


@dataclass(frozen=True, slots=True)
class Correction:
    """The value of one dimension, as the person gave it."""

    dimension: Dimension
    value: bool | float | str
    """Stress: whether there is any. Valence and arousal: in [-1, 1]. Emotion: its name."""
    at: float
    """Unix seconds."""


def apply_corrections(mood: Mood, corrections: Mapping[Dimension, Correction], now: float) -> Mood:
    """The mood with the person's corrections in place of the estimates.

    Corrections alone make no mood: without an estimate there is nothing to correct.

    >>> from assistant.emotion import Estimate, Mood
    >>> nothing = Estimate(0.0, 0.3)
    >>> mood = Mood(nothing, nothing, 0.9, {"fear": 0.8, "joy": 0.2}, (), at=0.0, expires_at=9.0, confidence=0.5)
    >>> calm = apply_corrections(mood, {"stress": Correction("stress", False, 1.0)}, 3.0)
    >>> calm.stress, calm.evidence[-1].modality, calm.evidence[-1].age_s
    (0.0, 'correction', 2.0)
    """
    if mood.abstained is not None or not corrections:
        return mood
    from_usual = dict(mood.from_usual)
    for correction in corrections.values():
        match correction.dimension, correction.value:
            case "stress", value:
                mood = replace(mood, stress=1.0 if value else 0.0)
            case "emotion", str(value):
                names = dict.fromkeys((*mood.emotions, value))
                emotions = {name: 1.0 if name == value else 0.0 for name in names}
                mood = replace(mood, emotions=emotions, emotion_set=(value,))
            case ("valence" | "arousal") as dimension, value:
                said = Estimate(float(value), _SURE)
                if dimension in from_usual:
                    from_usual[dimension] += said.mean - getattr(mood, dimension).mean
                mood = replace(mood, valence=said) if dimension == "valence" else replace(mood, arousal=said)
    newest = max(correction.at for correction in corrections.values())
    evidence = Evidence("correction", 1.0, max(0.0, now - newest))
    return replace(mood, from_usual=from_usual, evidence=(*mood.evidence, evidence))
