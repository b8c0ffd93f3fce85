"""The voice reader: emotion, valence, arousal and stress, relative to how this person usually sounds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from assistant.arrays import Floats
from assistant.audio.encoder import Encoder, States
from assistant.audio.pcm import Samples, clipped_share, level_db
from assistant.consent.grant import Gate, Grant
from assistant.emotion import Abstention, Baseline, Estimate, Reading, Usual
from assistant.errors import Invalid, ModelInvalid
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card, check_stem
from assistant.inference.model import Array

_QUIET_DB = -72.0
"""Below this level, 16-bit samples use at most three bits."""
_CLIPPED = 0.3
"""Share of clipped samples above which a recording is too distorted to read."""
OUTPUTS = ("emotions", "relative", "affect", "affect_deviation", "stress", "quality")
_FINE = "fine"
"""The quality of readable speech; the card's other qualities are reasons to abstain."""
_STRESSED = ("anger", "fear")
_TINY = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class VoiceScores:
    """Output of the head for one stretch of speech, after the personal baseline."""

    card: Card
    emotions: Floats
    """A distribution over the card's labels, [labels]."""
    affect: Floats
    """Valence and arousal in [-1, 1]."""
    affect_deviation: Floats
    stress: float
    """The probability of anger or fear."""
    observation: tuple[float, ...]
    """What the baseline learns from: all but the last of the head's `relative` log-ratios, valence, arousal."""

    def reading(self) -> Reading:
        """The scores as a `Reading`, with the shared names of emotions."""
        return Reading(
            modality="voice",
            valence=Estimate(float(self.affect[0]), float(self.affect_deviation[0])),
            arousal=Estimate(float(self.affect[1]), float(self.affect_deviation[1])),
            stress=self.stress,
            emotions=dict(zip(self.card.labels, (float(p) for p in self.emotions), strict=True)),
            observation=self.observation,
            model=self.card.fingerprint,
        )


class VoiceReader:
    """Reads speech: the shared stem, then this model's head. Every call needs a grant.

    The gate is asked before the stem runs and again before the head does. `clock` gives seconds, as the batchers
    count them.
    """

    def __init__(
        self, encoder: Encoder, head: Batcher, gate: Gate, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Raises `ModelInvalid` for a head that was trained on another stem or lacks an output."""
        self.card = head.model.card
        check_stem(self.card, encoder.card)
        self._qualities, self._threshold = check_head(self.card)
        self._encoder, self._head, self._gate, self._clock = encoder, head, gate, clock

    @property
    def model(self) -> str:
        """Fingerprint of the model, as its readings give it."""
        return self.card.fingerprint

    @property
    def population(self) -> tuple[float, ...]:
        """Mean observation over the training speakers; empty where the card gives none."""
        return tuple(self.card.data.get("population", {}).get("center", ()))

    @property
    def spread(self) -> tuple[float, ...]:
        """Standard deviation between speakers of each number of an observation."""
        return tuple(self.card.data.get("population", {}).get("spread", ()))

    async def read(
        self,
        grant: Grant,
        speech: Samples,
        *,
        heard: Sequence[States] | None = None,
        usual: Usual | None = None,
        budget_s: float = 5.0,
    ) -> VoiceScores | Abstention:
        """Score one stretch of speech at 16 kHz, of any length; long ones are read in equal windows.

        Windows that are not of the quality `fine` are left out; if they are more than half, the reader abstains.
        `usual` is the personal baseline of the speaker; `heard` is the output of the stem for each window, if it
        was run before. Raises `ConsentRequired` without a valid grant for voice, `Invalid` (`audio_not_finite`) for
        samples that are not numbers, `Busy` if both stages give no result in `budget_s` seconds, and
        `FloatingPointError` if a model returns values that are not numbers.
        """
        self._gate.check(grant, "voice")
        ends = self._clock() + budget_s
        if not np.isfinite(speech).all():
            raise Invalid("the audio contains samples that are not numbers", code="audio_not_finite")
        if len(speech) < self._encoder.shortest:
            return Abstention("voice", "too_short")
        if level_db(speech) < _QUIET_DB:
            return Abstention("voice", "too_quiet")
        if clipped_share(speech) > _CLIPPED:
            return Abstention("voice", "clipped")
        if heard is None:
            windows = np.array_split(speech, -(-len(speech) // self._encoder.longest))
            rows = await asyncio.gather(*(self._hear(grant, window, ends) for window in windows))
        else:
            rows = await asyncio.gather(*(self._score(grant, states, ends) for states in heard))
        if not all(np.isfinite(values).all() for row in rows for values in row.values()):
            raise FloatingPointError("the model gave values that are not numbers")
        qualities = np.asarray([row["quality"] for row in rows], dtype=np.float64)
        fine = qualities[:, self._qualities.index(_FINE)] >= self._threshold
        if 2 * fine.sum() < len(rows):
            return Abstention("voice", self._reason(qualities[~fine].mean(axis=0)))
        read = [row for row, good in zip(rows, fine, strict=True) if good]
        mean: dict[str, Floats] = {
            name: np.asarray(np.mean([row[name] for row in read], axis=0, dtype=np.float64)) for name in OUTPUTS
        }
        scores = VoiceScores(
            card=self.card,
            emotions=mean["emotions"] / mean["emotions"].sum(),
            affect=mean["affect"],
            affect_deviation=mean["affect_deviation"],
            stress=min(1.0, float(mean["stress"])),
            observation=(*mean["relative"][:-1].tolist(), *mean["affect"].tolist()),
        )
        return scores if usual is None else apply_baseline(usual, scores)

    def _reason(self, quality: Floats) -> str:
        """The most probable quality other than `fine`."""
        other = {name: p for name, p in zip(self._qualities, quality, strict=True) if name != _FINE}
        return max(other, key=other.__getitem__)

    async def _hear(self, grant: Grant, window: Samples, ends: float) -> dict[str, Array]:
        return await self._score(grant, await self._encoder.encode(window, budget_s=ends - self._clock()), ends)

    async def _score(self, grant: Grant, encoded: States, ends: float) -> dict[str, Array]:
        self._gate.check(grant, "voice")  # it may have been withdrawn while the stem ran
        row = {"states": encoded.states, "loudness": encoded.loudness}
        return await self._head.run(row, budget_s=ends - self._clock())


def check_head(card: Card) -> tuple[tuple[str, ...], float]:
    """The names of the qualities in the card, and the least probability of `fine` for a reading.

    Raises `ModelInvalid` for a card without them, and for a graph that lacks one of `OUTPUTS` or has other shapes.
    """
    missing = [name for name in OUTPUTS if name not in card.outputs]
    if missing:
        raise ModelInvalid(f"{card.folder} is not a voice model: it has no output {', '.join(missing)}")
    names, threshold = card.data.get("qualities"), card.data.get("fine_threshold")
    if not (isinstance(names, list) and all(isinstance(name, str) for name in names)):
        raise ModelInvalid(f"{card.folder} is not a voice model: its card lacks a list of qualities")
    if len(names) < 2 or len(set(names)) != len(names) or _FINE not in names:
        raise ModelInvalid(
            f"{card.folder}: the qualities must be {_FINE!r} and others, each once; they are {names}"
        )
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise ModelInvalid(f"{card.folder}: fine_threshold must be a number from 0 to 1; it is {threshold!r}")
    labels = len(card.labels)
    widths = {"emotions": labels, "relative": labels, "affect": 2, "affect_deviation": 2, "quality": len(names)}
    for name, shape in {"stress": (), **{name: (width,) for name, width in widths.items()}}.items():
        if (found := card.outputs[name].shape[1:]) != shape:
            raise ModelInvalid(f"{card.folder}: {name} has the shape {list(found)} a row, not {list(shape)}")
    return tuple(names), float(threshold)


def check_baseline(card: Card) -> None:
    """Raise `ModelInvalid` unless the personal baseline can store what this voice model observes of a person.

    A head of eight classes observes nine numbers: it can be evaluated but not served. A card without
    `population.center` is served without a baseline.
    """
    if (size := len(card.labels) + 1) > Baseline.SIZE:
        raise ModelInvalid(
            f"{card.name} observes {size} numbers of a person, from {len(card.labels)} labels and two of affect; "
            f"a baseline keeps at most {Baseline.SIZE}, so this model can be evaluated but not served"
        )
    population = card.data.get("population", {})
    center, spread = (len(population.get(name, ())) for name in ("center", "spread"))
    if center not in (0, size) or spread != center:
        raise ModelInvalid(
            f"{card.name} observes {size} numbers of a person; its population.center has {center}, "
            f"its population.spread {spread}"
        )


def apply_baseline(usual: Usual, scores: VoiceScores) -> VoiceScores:
    """The scores of an unknown speaker, corrected by how this person usually sounds.

    The head estimates emotions twice: absolute, and relative to how the speaker usually sounds. The second estimate
    is computed with the baseline and combined with the first, weighted by its trust, as a product of experts.
    """
    moved = np.asarray(scores.observation) - np.asarray(usual.shift, dtype=np.float64)
    ratios = np.append(moved[:-2], -moved[:-2].sum())
    logits = usual.trust * (ratios - _log_sum(ratios)) + (1 - usual.trust) * np.log(scores.emotions + _TINY)
    emotions = np.exp(logits - _log_sum(logits))
    tense = [scores.card.labels.index(name) for name in _STRESSED if name in scores.card.labels]
    return replace(
        scores, emotions=emotions, affect=np.clip(moved[-2:], -1, 1), stress=min(1.0, float(emotions[tense].sum()))
    )


def _log_sum(logits: Floats) -> float:
    top = float(logits.max())
    return top + float(np.log(np.exp(logits - top).sum()))
