"""The shared vocabulary: what a modality says (Reading), how a person usually is (Baseline) and is now (Mood)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Modality = Literal["voice", "text"]
Purpose = Literal["tone", "content", "remember", "research"]

MODALITIES: tuple[Modality, ...] = ("voice", "text")
PURPOSES: tuple[Purpose, ...] = ("tone", "content", "remember", "research")

EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
"""The shared emotion names, in the order of every vector of seven."""

SENTIMENTS = ("negative", "neutral", "positive")

STATEMENT = "an estimate of expression"
"""Said with every estimate: it is about what is expressed, not about what is felt."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantity with its uncertainty."""

    mean: float
    """In [-1, 1]."""
    deviation: float
    """Standard deviation, > 0, on the same scale."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.deviation > 0):
            raise ValueError(f"an estimate needs a finite mean and a positive deviation: {self}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one modality says, at one moment."""

    modality: Modality
    valence: Estimate
    """Unpleasant (-1) to pleasant (1)."""
    arousal: Estimate
    """Calm (-1) to activated (1)."""
    stress: float
    """Probability in [0, 1]."""
    emotions: Mapping[str, float]
    """A distribution over emotion names; sums to 1."""
    quality: float = 1.0
    """How well the input suited the model, 0 to 1; scales the weight in the fusion."""
    observation: tuple[float, ...] = ()
    """What the personal baseline learns from: at most `Baseline.SIZE` numbers, valence and arousal last."""
    model: str = ""
    """The beginning of the sha256 of the model that observed it."""


@dataclass(frozen=True, slots=True)
class Abstention:
    """A modality that would rather say nothing, and why."""

    modality: Modality
    reason: str
    """A stable code. Of a voice: `too_short`, `too_quiet`, `clipped`, `too_noisy`, `several_speakers` or
    `not_speech`. Of a text: `empty`, `other_language`, `code`, `random_characters`. Of both: `late`, `busy`,
    `unavailable`."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """How this person usually sounds: a running mean of at most eight numbers. It is no voiceprint."""

    SIZE = 8

    count: int = 0
    """Utterances seen."""
    center: tuple[float, ...] = ()
    """Mean of the observations."""
    source: Literal["none", "session", "stored"] = "none"
    model: str = ""
    """Which model observed; to another one its numbers mean something else."""

    def __post_init__(self) -> None:
        if len(self.center) > self.SIZE:
            raise ValueError(f"a baseline keeps at most {self.SIZE} numbers, not {len(self.center)}")


NO_BASELINE = Baseline()


@dataclass(frozen=True, slots=True)
class Usual:
    """What a baseline comes to when one reading is made relative to it."""

    shift: tuple[float, ...]
    """How far this person usually is from most people; to subtract from an observation."""
    trust: float
    """How much the reading relative to it counts beside the one that knows nobody: in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much one modality counted, or that the person corrected the estimate."""

    modality: Modality | Literal["correction"]
    weight: float
    """Share of the fused precision, 0 to 1; of a correction 1, as it wins over all others."""
    age_s: float
    """Seconds since the reading."""


@dataclass(frozen=True, slots=True)
class Mood:
    """Readings fused over modalities and time, relative to the person's own baseline."""

    valence: Estimate
    arousal: Estimate
    stress: float
    emotions: Mapping[str, float]
    evidence: tuple[Evidence, ...]
    at: float
    """Unix seconds."""
    expires_at: float
    """Unix seconds."""
    confidence: float
    """0 to 1: how much narrower than knowing nothing."""
    from_usual: Mapping[str, float] = field(default_factory=dict)
    """Valence and arousal minus the person's usual; empty while there is no baseline."""
    baseline: Literal["none", "session", "stored"] = "none"
    disagreement: bool = False
    """The modalities differ by more than their deviations allow."""
    abstained: str | None = None
    """Why there is no estimate, if there is none."""
    emotion_set: tuple[str, ...] = ()
    """The emotions that can't be ruled out, likeliest first: one of them was meant in nine of ten cases like those
    that were measured. Empty where that can't be said; then `unsure` says why."""
    unsure: tuple[str, ...] = ()
    """What is too uncertain to be said, as stable codes: `emotion_set_too_large`, `emotion_not_calibrated`,
    `valence_too_wide`, `arousal_too_wide`."""

    @classmethod
    def unsaid(cls, reason: str, at: float) -> Mood:
        """No estimate, and why."""
        nothing = Estimate(0.0, 1.0)
        return cls(nothing, nothing, 0.0, {}, (), at, at, confidence=0.0, abstained=reason)
