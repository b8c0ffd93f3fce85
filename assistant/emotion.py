"""The shared vocabulary: `Reading` (of one modality), `Baseline` (the usual state of a person) and `Mood` (now)."""

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
"""Sent with every estimate: it is about expression, not about feeling."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimated quantity with its uncertainty."""

    mean: float
    """The estimate, in [-1, 1]."""
    deviation: float
    """Standard deviation, > 0, on the same scale."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and self.deviation > 0):
            raise ValueError(f"an estimate needs a finite mean and a positive deviation: {self}")


@dataclass(frozen=True, slots=True)
class Reading:
    """What one modality shows at one moment."""

    modality: Modality
    valence: Estimate
    """From unpleasant (-1) to pleasant (1)."""
    arousal: Estimate
    """From calm (-1) to activated (1)."""
    stress: float
    """Probability of stress, in [0, 1]."""
    emotions: Mapping[str, float]
    """A distribution over emotion names; sums to 1."""
    quality: float = 1.0
    """How suitable the input was for the model, 0 to 1; scales the weight in the fusion."""
    observation: tuple[float, ...] = ()
    """Input of the personal baseline: at most `Baseline.SIZE` numbers, valence and arousal last."""
    model: str = ""
    """Fingerprint of the model: the first 12 digits of its sha256."""


@dataclass(frozen=True, slots=True)
class Abstention:
    """A modality that gives no reading, and the reason."""

    modality: Modality
    reason: str
    """A stable code. For voice: `too_short`, `too_quiet`, `clipped`, `too_noisy`, `several_speakers` or
    `not_speech`. For text: `empty`, `other_language`, `code`, `random_characters`. For both: `late`, `busy`,
    `unavailable`."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """How this person usually sounds: a running mean of at most eight numbers. It is not a voiceprint."""

    SIZE = 8

    count: int = 0
    """Number of observed utterances."""
    center: tuple[float, ...] = ()
    """Running mean of the observations."""
    source: Literal["none", "session", "stored"] = "none"
    model: str = ""
    """Fingerprint of the model; its numbers mean something else to another model."""

    def __post_init__(self) -> None:
        if len(self.center) > self.SIZE:
            raise ValueError(f"a baseline keeps at most {self.SIZE} numbers, not {len(self.center)}")


NO_BASELINE = Baseline()


@dataclass(frozen=True, slots=True)
class Usual:
    """A baseline in the form that a reading uses."""

    shift: tuple[float, ...]
    """Usual distance of this person from the population; it is subtracted from an observation."""
    trust: float
    """Weight of the estimate relative to the baseline, against the one without it: in [0, 1)."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """How much one modality counted in a mood, or that the person corrected it."""

    modality: Modality | Literal["correction"]
    weight: float
    """Share of the fused precision, 0 to 1; 1 for a correction, which replaces all others."""
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
    """From 0 (nothing is known) to 1: how narrow the estimates are."""
    from_usual: Mapping[str, float] = field(default_factory=dict)
    """Valence and arousal minus the person's usual; empty while there is no baseline."""
    baseline: Literal["none", "session", "stored"] = "none"
    disagreement: bool = False
    """The modalities differ by more than their deviations allow."""
    abstained: str | None = None
    """The reason if there is no estimate; otherwise None."""
    emotion_set: tuple[str, ...] = ()
    """The emotions that cannot be ruled out, most probable first: in nine of ten measured cases one of them was the
    intended one. Empty if that cannot be said; then `unsure` gives the reason."""
    unsure: tuple[str, ...] = ()
    """What is too uncertain to report, as stable codes: `emotion_set_too_large`, `emotion_not_calibrated`,
    `valence_too_wide`, `arousal_too_wide`."""

    @classmethod
    def unsaid(cls, reason: str, at: float) -> Mood:
        """A mood without an estimate, with the reason for the abstention."""
        nothing = Estimate(0.0, 1.0)
        return cls(nothing, nothing, 0.0, {}, (), at, at, confidence=0.0, abstained=reason)
