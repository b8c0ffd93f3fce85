"""The text reader: tokens in windows, fine emotions, sentiment, affect, stress, and the `Reading` made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from assistant.arrays import Floats32, Ints
from assistant.consent.grant import Gate, Grant
from assistant.emotion import EMOTIONS, Abstention, Estimate, Reading
from assistant.errors import ModelInvalid
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card
from assistant.text.clean import clean
from assistant.text.readability import load_detector, unreadable

PAD_TO = 16
"""Rows are padded to a multiple of this, so that texts of similar length share a batch."""

LONGEST = 20_000
"""Characters of a text that are read, as many as a message may have; what comes after them is not."""
BATCH_ELEMENTS = 16_384
"""Most input numbers in one batch, 64 windows of 128 tokens: memory grows with them, and speed no more."""


def cut_text(text: str) -> str:
    """What is read of a text.

    >>> len(cut_text("so happy " * 100_000)), cut_text("so happy")
    (20000, 'so happy')
    """
    return text[:LONGEST]


class TextTokenizer:
    """The tokenizer of a model folder."""

    def __init__(self, folder: Path, *, max_tokens: int) -> None:
        file = folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exception
            raise ModelInvalid(f"{file} can't be read", code="model_missing") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._room = max_tokens - self._tokenizer.num_special_tokens_to_add(False)
        self._special = self._tokenizer.encode("").ids

    def windows(self, text: str) -> list[Ints]:
        """Token ids of each window of at most `max_tokens`, special tokens included; none for empty text.

        Long text is cut evenly, so that no window has only a word or two.
        """
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        first, last = self._special[0], self._special[-1]
        return [np.array([first, *ids[part], last], dtype=np.int64) for part in even_parts(len(ids), self._room)]


def even_parts(count: int, most: int) -> list[slice]:
    """Split `count` things into as few parts of at most `most` as possible, with sizes that differ by at most one.

    >>> [part.stop - part.start for part in even_parts(10, 4)], even_parts(0, 4)
    ([3, 3, 4], [])
    """
    parts = -(-count // most)
    return [slice(count * part // parts, count * (part + 1) // parts) for part in range(parts)]


def pad_row(ids: Ints) -> dict[str, Ints]:
    """The graph's two inputs for one row, padded to a multiple of `PAD_TO`.

    >>> row = pad_row(np.array([101, 7, 102]))
    >>> row["input_ids"].shape, int(row["attention_mask"].sum())
    ((16,), 3)
    """
    size = -(-len(ids) // PAD_TO) * PAD_TO
    row = np.zeros(size, dtype=np.int64)
    mask = np.zeros(size, dtype=np.int64)
    row[: len(ids)], mask[: len(ids)] = ids, 1
    return {"input_ids": row, "attention_mask": mask}


FINE_TO_SHARED: Mapping[str, str] = {
    **dict.fromkeys(("anger", "annoyance", "disapproval"), "anger"),
    "disgust": "disgust",
    **dict.fromkeys(("fear", "nervousness"), "fear"),
    **dict.fromkeys(
        ("joy", "happiness", "amusement", "approval", "excitement", "gratitude", "love", "optimism", "relief",
         "pride", "admiration", "desire", "caring"), "joy"),
    "neutral": "neutral",
    **dict.fromkeys(("sadness", "disappointment", "embarrassment", "grief", "remorse"), "sadness"),
    **dict.fromkeys(("surprise", "realization", "confusion", "curiosity"), "surprise"),
}  # fmt: skip
"""GoEmotions' own grouping into Ekman's six and neutral (Demszky et al. 2020, appendix)."""

_SPREAD = 0.4
"""One standard deviation of arousal in EmoBank becomes this much on the shared scale. Annotators of EmoBank use a
sixth of the scale, voices use most of it, and both must be comparable before they are fused."""
_LEAST_DEVIATION = 0.15


@dataclass(frozen=True, slots=True, eq=False)
class TextScores:
    """Output of the graph for one text, averaged over its windows, weighted by their length."""

    card: Card
    emotions: Floats32
    """Probability of each of the card's labels, [labels]."""
    sentiment: Floats32
    """Probabilities of negative, neutral, positive."""
    affect: Floats32
    """Valence, arousal, dominance on EmoBank's scale mapped to [-1, 1]."""
    affect_deviation: Floats32
    stress: float

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels whose probability reaches their threshold."""
        thresholds = self.card.data.get("thresholds", [0.5] * len(self.card.labels))
        return tuple(name for name, p, t in zip(self.card.labels, self.emotions, thresholds, strict=True) if p >= t)

    @property
    def sentiment_weights(self) -> tuple[float, ...]:
        """Weights of the sentiments for choosing the most probable one; not applied to the probabilities."""
        return tuple(self.card.data.get("sentiment_weights", (1.0, 1.0, 1.0)))

    @property
    def shared(self) -> dict[str, float]:
        """A distribution over the shared emotions: 1 - prod(1 - p) over each group, then normalised."""
        missing = dict.fromkeys(EMOTIONS, 1.0)
        for name, p in zip(self.card.labels, self.emotions, strict=True):
            if name in FINE_TO_SHARED:
                missing[FINE_TO_SHARED[name]] *= 1.0 - float(p)
        present = {name: 1.0 - q for name, q in missing.items()}
        total = sum(present.values()) or 1.0
        return {name: p / total for name, p in present.items()}

    def reading(self) -> Reading:
        """The scores as a `Reading`: valence is the expected sentiment, arousal EmoBank's, on the shared scale."""
        negative, _, positive = (float(p) for p in self.sentiment)
        valence = positive - negative
        spread = max(_LEAST_DEVIATION, float(np.sqrt(max(0.0, positive + negative - valence**2))))
        population = self.card.data["population"]
        center, scale = population["affect_mean"][1], population["affect_deviation"][1]
        arousal = float(np.clip(_SPREAD * (float(self.affect[1]) - center) / scale, -1, 1))
        doubt = max(_LEAST_DEVIATION, _SPREAD * float(self.affect_deviation[1]) / scale)
        return Reading(
            modality="text",
            valence=Estimate(valence, spread),
            arousal=Estimate(arousal, doubt),
            stress=self.stress,
            emotions=self.shared,
            observation=(valence, arousal),
            model=self.card.fingerprint,
        )


class TextReader:
    """Reads text with the served model. Every call needs a grant, and the gate is asked before each run."""

    def __init__(self, batcher: Batcher, gate: Gate) -> None:
        self.card = batcher.model.card
        self._batcher, self._gate = batcher, gate
        self._tokens = TextTokenizer(self.card.folder, max_tokens=int(self.card.data["max_tokens"]))
        self._detector = load_detector()

    async def read(self, grant: Grant, text: str, *, budget_s: float = 5.0) -> TextScores | Abstention:
        """Score one text, up to `LONGEST` characters of it, or abstain if it cannot be read (see `unreadable`).

        Raises `ConsentRequired` without a valid grant for text, `Busy` if there is no result in `budget_s` seconds.
        """
        self._gate.check(grant, "text")
        text = cut_text(text)
        plain = clean(text)
        reason = unreadable(text, plain, detector=self._detector)
        if reason is not None:
            return Abstention("text", reason)
        windows = self._tokens.windows(plain)
        rows = await asyncio.gather(*(self._batcher.run(pad_row(ids), budget_s=budget_s) for ids in windows))
        weights = np.array([len(ids) for ids in windows], dtype=np.float32)
        weights /= weights.sum()
        mean = {name: sum(w * row[name] for w, row in zip(weights, rows, strict=True)) for name in rows[0]}
        return TextScores(
            card=self.card,
            emotions=np.asarray(mean["emotions"], dtype=np.float32),
            sentiment=np.asarray(mean["sentiment"], dtype=np.float32),
            affect=np.asarray(mean["affect"], dtype=np.float32),
            affect_deviation=np.asarray(mean["affect_deviation"], dtype=np.float32),
            stress=float(mean["stress"]),
        )
