"""From readings to a mood: precision weights, decay, and doubt where the modalities disagree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from assistant.emotion import Estimate, Evidence, Modality, Mood, Reading

IGNORANCE = 0.6
"""Standard deviation of knowing nothing: about that of a uniform spread over [-1, 1]."""
_FORGOTTEN = 64.0
"""Half-lives after which a reading is no wider: it says nothing by then."""
USUAL_STRESS = 0.2
"""What the stress probability returns to as a reading ages; assumed, not measured."""
_AGREE = 2.0
"""Two readings disagree when they lie more than this many joint deviations apart."""


@dataclass(frozen=True, slots=True)
class Aged:
    """A reading and the seconds since it was made."""

    reading: Reading
    age_s: float


@dataclass(frozen=True, slots=True)
class _Voice:
    """One modality's readings over time, pooled."""

    modality: Modality
    valence: Estimate
    arousal: Estimate
    stress: float
    emotions: dict[str, float]
    age_s: float


def fuse(readings: Sequence[Aged], *, now: float, half_life_s: float, expires_s: float) -> Mood | None:
    """Combine readings by precision (inverse variance); None when there are none.

    Over time, within one modality, readings are averaged with weights that halve every `half_life_s`; windows
    overlap, so averaging more of them does not narrow the deviation, and the deviation grows by sqrt(2) for each
    half-life since the newest, while the stress returns to `USUAL_STRESS`.

    Across modalities, precisions add (Cochran 1937). A modality that abstained is simply absent: silence is not
    calm. Where two differ by more than their deviations allow, the fused deviation widens by their spread and
    `disagreement` is set.
    """
    readings = [aged for aged in readings if aged.reading.quality > 0]
    voices = [
        _pool([aged for aged in readings if aged.reading.modality == modality], half_life_s)
        for modality in dict.fromkeys(aged.reading.modality for aged in readings)
    ]
    if not voices:
        return None
    valence, valence_split = _combine([voice.valence for voice in voices])
    arousal, arousal_split = _combine([voice.arousal for voice in voices])
    weights = _shares([voice.valence.deviation * voice.arousal.deviation for voice in voices])
    names = dict.fromkeys(name for voice in voices for name in voice.emotions)
    newest = min(voice.age_s for voice in voices)
    at = now - newest
    return Mood(
        valence=valence,
        arousal=arousal,
        stress=_sigmoid(sum(w * _log_odds(v.stress) for w, v in zip(weights, voices, strict=True))),
        emotions={
            name: sum(w * v.emotions.get(name, 0.0) for w, v in zip(weights, voices, strict=True)) for name in names
        },
        evidence=tuple(Evidence(v.modality, w, v.age_s) for w, v in zip(weights, voices, strict=True)),
        at=at,
        expires_at=at + expires_s,
        confidence=max(0.0, 1 - math.sqrt(valence.deviation * arousal.deviation) / IGNORANCE),
        disagreement=valence_split or arousal_split,
    )


def _pool(readings: Sequence[Aged], half_life_s: float) -> _Voice:
    newest = min(readings, key=lambda aged: aged.age_s)
    decay = [aged.reading.quality * 2 ** (-(aged.age_s - newest.age_s) / half_life_s) for aged in readings]
    widen = 2 ** (min(newest.age_s / half_life_s, _FORGOTTEN) / 2)

    def pooled(estimates: Sequence[Estimate]) -> Estimate:
        weights = [w / e.deviation**2 for w, e in zip(decay, estimates, strict=True)]
        total = sum(weights)
        mean = sum(w * e.mean for w, e in zip(weights, estimates, strict=True)) / total
        variance = sum(w * e.deviation**2 for w, e in zip(weights, estimates, strict=True)) / total
        return Estimate(mean, math.sqrt(variance) * widen)

    share = [w / sum(decay) for w in decay]
    usual, fresh = _log_odds(USUAL_STRESS), widen**-2
    stress = sum(w * _log_odds(aged.reading.stress) for w, aged in zip(share, readings, strict=True))
    return _Voice(
        modality=newest.reading.modality,
        valence=pooled([aged.reading.valence for aged in readings]),
        arousal=pooled([aged.reading.arousal for aged in readings]),
        stress=_sigmoid(usual + (stress - usual) * fresh),
        emotions={
            name: sum(w * aged.reading.emotions.get(name, 0.0) for w, aged in zip(share, readings, strict=True))
            for name in newest.reading.emotions
        },
        age_s=newest.age_s,
    )


def _combine(estimates: Sequence[Estimate]) -> tuple[Estimate, bool]:
    """Precision-weighted mean, and whether the estimates disagree.

    >>> _combine([Estimate(0.0, 0.3), Estimate(0.6, 0.3)])[0].mean
    0.3
    >>> _combine([Estimate(-0.9, 0.1), Estimate(0.9, 0.1)])[1]
    True
    """
    precision = sum(e.deviation**-2 for e in estimates)
    mean = sum(e.mean * e.deviation**-2 for e in estimates) / precision
    variance = 1 / precision
    split = any(
        abs(a.mean - b.mean) > _AGREE * math.hypot(a.deviation, b.deviation)
        for index, a in enumerate(estimates)
        for b in estimates[:index]
    )
    if split:
        variance += sum((e.mean - mean) ** 2 * e.deviation**-2 for e in estimates) / precision
    return Estimate(mean, math.sqrt(variance)), split


def _shares(variances: Sequence[float]) -> list[float]:
    total = sum(1 / v for v in variances)
    return [1 / v / total for v in variances]


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))
