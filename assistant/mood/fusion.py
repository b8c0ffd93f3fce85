"""Fuses readings into a mood: precision weights, decay, wider deviations on disagreement, abstention in doubt."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from assistant.emotion import Estimate, Evidence, Modality, Mood, Reading
from assistant.mood.conformal import LARGEST, UNCALIBRATED, Calibration, emotion_set

CARRY = 0.25
"""Weight of an earlier utterance relative to a newer one, before decay over time. Chosen on the conversations of
EmoContext (train), where .2 to .4 are about equally good; in MELD's scenes a lower value would do."""


@dataclass(frozen=True, slots=True)
class HalfLives:
    """Seconds after which a reading counts half, by dimension.

    They were measured in the scenes of MELD (train): for each dimension, the correlation of the labels of two
    utterances of one person, 6 to 100 s apart, falls as `c * 2 ** (-seconds / half_life)`, with c near .3.
    `scripts/mood/measure.py --only decay` repeats the measurement. Scenes on TV change faster than most lives: a
    deployment may set its own half-life of valence, and the other dimensions follow in proportion.
    """

    valence_s: float = 32.0
    arousal_s: float = 14.0
    stress_s: float = 12.0
    emotions_s: float = 18.0

    @classmethod
    def scaled(cls, valence_s: float) -> HalfLives:
        """The measured half-lives in proportion to that of valence.

        >>> HalfLives.scaled(64.0)
        HalfLives(valence_s=64.0, arousal_s=28.0, stress_s=24.0, emotions_s=36.0)
        """
        usual = cls()
        by = valence_s / usual.valence_s
        return cls(valence_s, usual.arousal_s * by, usual.stress_s * by, usual.emotions_s * by)


IGNORANCE = 0.6
"""Standard deviation without any knowledge: about that of a uniform distribution over [-1, 1]."""
_FORGOTTEN = 64.0
"""Half-lives after which the deviation stops growing: the reading says nothing by then."""
USUAL_STRESS = 0.2
"""The stress probability to which an old reading returns; assumed, not measured."""
_AGREE = 2.0
"""Two readings disagree if they are more than this many joint deviations apart."""
TRUST: Mapping[Modality, float] = {"voice": 0.7, "text": 0.3}
"""Weight of each modality's log-probabilities while both are fresh; chosen on half of the speakers, paired with
texts of the same emotion (`scripts/mood/measure.py --only trust`)."""
_LEAST = 1e-3
"""Lowest probability that counts, so that one modality alone rules no emotion out."""
_STRESSED = 0.6
"""A stress probability that is reported even if nothing else is known."""


@dataclass(frozen=True, slots=True)
class Aged:
    """A reading and the seconds since it was made."""

    reading: Reading
    age_s: float


@dataclass(frozen=True, slots=True)
class _Voice:
    """Readings of one modality, pooled over time."""

    modality: Modality
    valence: Estimate
    arousal: Estimate
    stress: float
    emotions: dict[str, float]
    trust: float
    age_s: float
    model: str


def fuse(
    readings: Sequence[Aged],
    *,
    now: float,
    half_life_s: float,
    expires_s: float,
    calibration: Calibration = UNCALIBRATED,
) -> Mood | None:
    """Combine readings by precision (inverse variance); None when there are none.

    Over time, within one modality, the newest reading has weight 1. An earlier one has `CARRY` times a weight that
    halves with the half-life of each dimension (`HalfLives`; `half_life_s` is that of valence), whatever its
    precision: a current but unsure message says as much about now as an earlier, sure one. Averaging more readings
    does not narrow the deviation, because windows overlap and feelings persist. After the newest reading, the
    deviation grows by sqrt(2) per half-life, the stress returns to `USUAL_STRESS`, and the emotions become equally
    probable.

    Across modalities, precisions add (Cochran 1937), and the emotions are pooled by the logarithms of their
    probabilities, weighted with `TRUST` and freshness (Genest & Zidek 1986). A modality that abstained is left out:
    silence is not calm. If two differ by more than their deviations allow, the fused deviation widens by their
    spread and `disagreement` is set.
    """
    readings = [aged for aged in readings if aged.reading.quality > 0]
    lives = HalfLives.scaled(half_life_s)
    voices = [
        _pool([aged for aged in readings if aged.reading.modality == modality], lives)
        for modality in dict.fromkeys(aged.reading.modality for aged in readings)
    ]
    if not voices:
        return None
    valence, valence_split = _combine([voice.valence for voice in voices])
    arousal, arousal_split = _combine([voice.arousal for voice in voices])
    weights = _shares([voice.valence.deviation * voice.arousal.deviation for voice in voices])
    newest = min(voice.age_s for voice in voices)
    at = now - newest
    emotions = _pool_emotions(voices)
    quantile = calibration.quantile({voice.modality: voice.model for voice in voices})
    return Mood(
        valence=valence,
        arousal=arousal,
        stress=_sigmoid(sum(w * _log_odds(v.stress) for w, v in zip(weights, voices, strict=True))),
        emotions=emotions,
        evidence=tuple(Evidence(v.modality, w, v.age_s) for w, v in zip(weights, voices, strict=True)),
        at=at,
        expires_at=at + expires_s,
        confidence=max(0.0, 1 - math.sqrt(valence.deviation * arousal.deviation) / IGNORANCE),
        disagreement=valence_split or arousal_split,
        emotion_set=() if quantile is None else emotion_set(emotions, quantile),
    )


def abstain_if_unsure(mood: Mood) -> Mood:
    """The mood without what is too uncertain; an abstention if nothing is left.

    A set of more than `LARGEST` emotions is dropped, and a deviation of `IGNORANCE` or more is named in `unsure`.
    If that holds for valence, arousal and emotions, and stress is not probable either, the mood abstains with
    `too_uncertain`. What a person said about themselves is never too uncertain.
    """
    if mood.abstained is not None:
        return mood
    affect = {"valence": mood.valence, "arousal": mood.arousal}
    unsure = [f"{name}_too_wide" for name, estimate in affect.items() if estimate.deviation >= IGNORANCE]
    if not mood.emotion_set:
        unsure.append("emotion_not_calibrated")
    elif len(mood.emotion_set) > LARGEST:
        unsure.append("emotion_set_too_large")
    corrected = any(evidence.modality == "correction" for evidence in mood.evidence)
    if len(unsure) == 3 and mood.stress < _STRESSED and not corrected:
        nothing = Mood.unsaid("too_uncertain", mood.at)
        return replace(nothing, evidence=mood.evidence, expires_at=mood.expires_at, unsure=tuple(unsure))
    named = len(mood.emotion_set) <= LARGEST
    return replace(mood, emotion_set=mood.emotion_set if named else (), unsure=tuple(unsure))


def _pool(readings: Sequence[Aged], lives: HalfLives) -> _Voice:
    newest = min(readings, key=lambda aged: aged.age_s)

    def fresh(half_life_s: float) -> float:
        """Freshness of the newest reading: from 1 to almost 0."""
        return 2 ** -min(newest.age_s / half_life_s, _FORGOTTEN)

    def shares(half_life_s: float) -> list[float]:
        older = [aged.age_s - newest.age_s for aged in readings]
        carried = [CARRY * 2 ** (-by_s / half_life_s) if by_s > 0 else 1.0 for by_s in older]
        weights = [aged.reading.quality * w for aged, w in zip(readings, carried, strict=True)]
        return [w / sum(weights) for w in weights]

    def pooled(estimates: Sequence[Estimate], half_life_s: float) -> Estimate:
        variance = mixed((e.deviation**2 for e in estimates), half_life_s) / fresh(half_life_s)
        return Estimate(mixed((e.mean for e in estimates), half_life_s), math.sqrt(variance))

    def mixed(values: Iterable[float], half_life_s: float) -> float:
        return sum(w * value for w, value in zip(shares(half_life_s), values, strict=True))

    usual = _log_odds(USUAL_STRESS)
    stress = mixed((_log_odds(aged.reading.stress) for aged in readings), lives.stress_s)
    left = fresh(lives.emotions_s)
    emotions = {
        name: mixed((aged.reading.emotions.get(name, 0.0) for aged in readings), lives.emotions_s)
        for name in newest.reading.emotions
    }
    return _Voice(
        modality=newest.reading.modality,
        valence=pooled([aged.reading.valence for aged in readings], lives.valence_s),
        arousal=pooled([aged.reading.arousal for aged in readings], lives.arousal_s),
        stress=_sigmoid(usual + (stress - usual) * fresh(lives.stress_s)),
        emotions={name: left * p + (1 - left) / len(emotions) for name, p in emotions.items()},
        trust=TRUST[newest.reading.modality] * left,
        age_s=newest.age_s,
        model=newest.reading.model,
    )


def _pool_emotions(voices: Sequence[_Voice]) -> dict[str, float]:
    """The weighted geometric mean of the distributions, normalised; a single one as it is.

    A sure voice outweighs an unsure text without further rules: a flat distribution changes nothing.
    """
    if len(voices) == 1:
        return voices[0].emotions
    total = sum(voice.trust for voice in voices)
    names = dict.fromkeys(name for voice in voices for name in voice.emotions)
    logs = {
        name: sum(voice.trust / total * math.log(max(voice.emotions.get(name, 0.0), _LEAST)) for voice in voices)
        for name in names
    }
    top = max(logs.values())
    odds = {name: math.exp(value - top) for name, value in logs.items()}
    whole = sum(odds.values())
    return {name: value / whole for name, value in odds.items()}


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
