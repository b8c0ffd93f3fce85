"""One person's recent readings, baselines and corrections. In memory, bounded, and removed when consent ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from assistant.emotion import NO_BASELINE, Baseline, Estimate, Evidence, Modality, Mood, Reading
from assistant.mood.baseline import KNOWN_AFTER, update_baseline
from assistant.mood.conformal import UNCALIBRATED, Calibration
from assistant.mood.fusion import Aged, abstain_if_unsure, fuse

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


class MoodLog(Protocol):
    """Storage of readings of whole utterances and messages."""

    async def add_reading(self, person: str, reading: Reading, at: float) -> None:
        """Store a reading made at Unix time `at`."""

    async def forget(self, person: str, modality: Modality) -> None:
        """Remove a person's readings of one modality."""


_KEPT = 64


class Timeline:
    """Readings in order, and a baseline for each modality."""

    def __init__(self, *, half_life_s: float, expires_s: float, calibration: Calibration = UNCALIBRATED) -> None:
        self._half_life_s, self._expires_s, self._calibration = half_life_s, expires_s, calibration
        self._readings: deque[tuple[float, Reading]] = deque(maxlen=_KEPT)
        self._passing: dict[Modality, tuple[float, Reading]] = {}
        self.baselines: dict[Modality, Baseline] = {}
        self._corrections: dict[Dimension, Correction] = {}
        self._alive_at = float("-inf")

    def set_interim(self, reading: Reading, at: float) -> None:
        """Set the reading in the middle of an utterance; the next reading of its modality replaces it."""
        self._lives(at)
        self._passing[reading.modality] = (at, reading)

    def add_reading(self, reading: Reading, at: float) -> None:
        """Add the reading of a whole utterance or message, and update the baseline with it."""
        self._lives(at)
        self._passing.pop(reading.modality, None)
        self._readings.append((at, reading))
        known = self.baseline(reading.modality)
        self.baselines[reading.modality] = update_baseline(known, reading.observation, reading.model)

    def correct(self, correction: Correction) -> None:
        """Apply a correction until the session ends, which is when no reading came for the lifetime of a mood."""
        self._lives(correction.at)
        self._corrections[correction.dimension] = correction

    def remove_corrections(self) -> None:
        """Remove the corrections; the estimates count again."""
        self._corrections.clear()

    def corrections(self, now: float) -> dict[Dimension, Correction]:
        """The person's corrections in this session."""
        return {} if now - self._alive_at >= self._expires_s else dict(self._corrections)

    def baseline(self, modality: Modality) -> Baseline:
        """The person's baseline in one modality."""
        return self.baselines.get(modality, NO_BASELINE)

    def forget(self, modality: Modality) -> None:
        """Remove everything derived from one modality."""
        kept = [(at, reading) for at, reading in self._readings if reading.modality != modality]
        self._readings = deque(kept, maxlen=_KEPT)
        self._passing.pop(modality, None)
        self.baselines.pop(modality, None)
        if not self._readings and not self._passing:
            self._corrections.clear()

    def mood(self, now: float, modalities: Collection[Modality]) -> Mood | None:
        """The mood from these modalities at Unix time `now`; None if nothing is known any more."""
        aged = [
            Aged(reading, max(0.0, now - at))
            for at, reading in (*self._readings, *self._passing.values())
            if reading.modality in modalities and now - at < self._expires_s
        ]
        mood = fuse(
            aged, now=now, half_life_s=self._half_life_s, expires_s=self._expires_s, calibration=self._calibration
        )
        if mood is None:
            return None
        return abstain_if_unsure(apply_corrections(self._relative(mood), self.corrections(now), now))

    def _lives(self, at: float) -> None:
        """Note that something came; after a long silence this starts another session."""
        if at - self._alive_at >= self._expires_s:
            self._corrections.clear()
        self._alive_at = max(self._alive_at, at)

    def _relative(self, mood: Mood) -> Mood:
        """Add the distance from the person's usual valence and arousal, the last two numbers of an observation."""
        estimates = [(e.weight, e.modality) for e in mood.evidence if e.modality != "correction"]
        known = {m: self.baseline(m) for _, m in estimates if self.baseline(m).count >= KNOWN_AFTER}
        total = sum(weight for weight, m in estimates if m in known)
        if not total:
            return mood
        usual = [
            sum(weight * known[m].center[index] for weight, m in estimates if m in known) / total
            for index in (-2, -1)
        ]
        stored = any(baseline.source == "stored" for baseline in known.values())
        return replace(
            mood,
            from_usual={"valence": mood.valence.mean - usual[0], "arousal": mood.arousal.mean - usual[1]},
            baseline="stored" if stored else "session",
        )
