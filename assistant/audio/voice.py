"""What a voice says: emotion, valence, arousal and stress, relative to how this person usually sounds."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from assistant.audio.pcm import Samples, level_db
from assistant.consent.grant import Gate, Grant
from assistant.emotion import Abstention, Estimate, Reading
from assistant.errors import Invalid
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card

Floats = npt.NDArray[np.float64]

_QUIET_DB = -60.0
_STRESSED = ("anger", "fear")
_TINY = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class VoiceScores:
    """What the graph gave for one stretch of speech, after the personal baseline."""

    card: Card
    emotions: Floats
    """A distribution over the card's labels, [labels]."""
    affect: Floats
    """Valence and arousal in [-1, 1]."""
    affect_deviation: Floats
    stress: float
    observation: tuple[float, ...]
    """Before the baseline was applied: all but the last centred log-ratio of the emotions, valence, arousal."""

    def reading(self) -> Reading:
        """The Reading."""
        return Reading(
            modality="voice",
            valence=Estimate(float(self.affect[0]), float(self.affect_deviation[0])),
            arousal=Estimate(float(self.affect[1]), float(self.affect_deviation[1])),
            stress=self.stress,
            emotions=dict(zip(self.card.labels, (float(p) for p in self.emotions), strict=True)),
            observation=self.observation,
        )


class VoiceReader:
    """Reads speech with the served model. Every call needs a grant, and the gate is asked before each run."""

    def __init__(self, batcher: Batcher, gate: Gate) -> None:
        self.card = batcher.model.card
        self._batcher = batcher
        self._gate = gate
        self._shortest = int(self.card.data["min_samples"])
        self._longest = int(self.card.data["max_samples"])

    @property
    def population(self) -> tuple[float, ...]:
        """Mean observation over the training speakers; empty where the card gives none."""
        return tuple(self.card.data.get("population", {}).get("center", ()))

    async def read(
        self, grant: Grant, speech: Samples, *, shift: Sequence[float] = (), budget_s: float = 5.0
    ) -> VoiceScores | Abstention:
        """Score one stretch of speech at 16 kHz, of any length; long ones are read in equal windows.

        `shift` is what the personal baseline subtracts from the observation. Raises `ConsentRequired` without a
        living grant for voice, `Invalid` (`audio_not_finite`) for samples that are not numbers, `Busy` when there
        is no result in `budget_s` seconds.
        """
        self._gate.check(grant, "voice")
        if not np.isfinite(speech).all():
            raise Invalid("samples that are not numbers", code="audio_not_finite")
        if len(speech) < self._shortest:
            return Abstention("voice", "too_short")
        if level_db(speech) < _QUIET_DB:
            return Abstention("voice", "too_quiet")
        windows = np.array_split(speech, -(-len(speech) // self._longest))
        rows = await asyncio.gather(*(self._batcher.run({"audio": w}, budget_s=budget_s) for w in windows))
        mean: dict[str, Floats] = {
            name: np.asarray(np.mean([row[name] for row in rows], axis=0, dtype=np.float64)) for name in rows[0]
        }
        return shifted(
            VoiceScores(
                card=self.card,
                emotions=mean["emotions"] / mean["emotions"].sum(),
                affect=mean["affect"],
                affect_deviation=mean["affect_deviation"],
                stress=float(mean["stress"]),
                observation=_observe(mean["emotions"], mean["affect"]),
            ),
            shift,
        )


def _observe(emotions: Floats, affect: Floats) -> tuple[float, ...]:
    logs = np.log(np.maximum(emotions, _TINY))
    ratios = logs - logs.mean()
    return tuple(float(x) for x in (*ratios[:-1], *affect))


def shifted(scores: VoiceScores, shift: Sequence[float]) -> VoiceScores:
    """Take the person's habit out: subtract `shift` in the space of the observation.

    The stress log-odds move by as much as those of anger and fear together do.
    """
    if not any(shift):
        return scores
    moved = np.asarray(scores.observation) - np.asarray(shift, dtype=np.float64)
    ratios = np.append(moved[:-2], -moved[:-2].sum())
    emotions = np.exp(ratios - ratios.max())
    emotions /= emotions.sum()
    tense = [scores.card.labels.index(name) for name in _STRESSED if name in scores.card.labels]
    change = _log_odds(float(emotions[tense].sum())) - _log_odds(float(scores.emotions[tense].sum()))
    return VoiceScores(
        card=scores.card,
        emotions=emotions,
        affect=np.clip(moved[-2:], -1, 1),
        affect_deviation=scores.affect_deviation,
        stress=1 / (1 + float(np.exp(-(_log_odds(scores.stress) + (change if tense else 0.0))))),
        observation=scores.observation,
    )


def _log_odds(p: float) -> float:
    return float(np.log(max(p, _TINY) / max(1 - p, _TINY)))
