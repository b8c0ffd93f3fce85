"""Readers for somebody else's models, so that they are measured beside ours by the same code on the same rows.

Their answers become the scores of our readers. Every window runs alone, because a batch might change the numbers;
windows of a long input are averaged by their length. They never abstain, but from an input with nothing in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import soxr
from tokenizers import Encoding, Tokenizer

from assistant.arrays import Floats
from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples
from assistant.audio.voice import VoiceScores
from assistant.consent.grant import Gate, Grant
from assistant.emotion import SENTIMENTS, Abstention
from assistant.errors import Invalid, ModelInvalid
from assistant.evaluate.figures.tasks import AFFECTS
from assistant.evaluate.run.foreign_card import Foreign, adapt_card, read_foreign
from assistant.inference.batcher import Batcher
from assistant.inference.card import Card, Port
from assistant.inference.model import Array
from assistant.text.reader import TextScores, cut_text

_TENSE = ("anger", "fear")
_IDS, _MASK, _KINDS = "input_ids", "attention_mask", "token_type_ids"
_LEAST = 1e-7  # under the variance of a window, as feature extractors of waveform models add it


class ForeignVoice:
    """Reads a waveform with somebody else's graph. Takes what `VoiceReader` takes, and gives its scores."""

    def __init__(self, batcher: Batcher, gate: Gate) -> None:
        """Raises `ModelInvalid` for a card or graph that takes no waveform."""
        raw = batcher.model.card
        self.card, self._foreign = _checked(raw, "voice")
        self._batcher, self._gate = batcher, gate
        self._wave, self._port = _the_wave(raw)
        self._output = next(iter(raw.outputs))  # graphs may have others, which are not asked for
        if self._foreign.samples is None and (fixed := _fixed(self._port)):
            self._foreign = replace(self._foreign, samples=fixed)

    async def read(self, grant: Grant, speech: Samples, *, budget_s: float = 5.0) -> VoiceScores | Abstention:
        """Score speech at 16 kHz of any length. Raises as `VoiceReader.read` does."""
        self._gate.check(grant, "voice")
        if not np.isfinite(speech).all():
            raise Invalid("samples that are not numbers", code="audio_not_finite")
        if not len(speech):
            return Abstention("voice", "too_short")
        windows = _windows(speech, self._foreign)
        found = [await self._run(window, budget_s) for window in windows]
        return make_voice_scores(self.card, self._foreign, _mean(found, [len(window) for window in windows]))

    async def _run(self, window: Samples, budget_s: float) -> Floats:
        wave = _prepared(window, self._foreign)
        inputs: dict[str, Array] = {self._wave: _as_port(wave, self._port)}
        if _MASK in self.card.inputs:
            inputs[_MASK] = _as_port(np.arange(len(wave)) < len(window), self.card.inputs[_MASK])
        return _answered(await self._batcher.run(inputs, budget_s=budget_s), self._output, self._foreign)


class ForeignText:
    """Reads text with somebody else's graph and tokenizer. Takes what `TextReader` takes, and gives its scores."""

    def __init__(self, batcher: Batcher, gate: Gate) -> None:
        """Raises `ModelInvalid` for a card that takes no token ids, and (`model_missing`) without a tokenizer."""
        raw = batcher.model.card
        self.card, self._foreign = _checked(raw, "text")
        self._batcher, self._gate = batcher, gate
        if unknown := ", ".join(sorted(set(raw.inputs) - {_IDS, _MASK, _KINDS})):
            raise ModelInvalid(f"{raw.name} takes {unknown}: a text model may take {_IDS}, {_MASK}, {_KINDS}")
        if _IDS not in raw.inputs:
            raise ModelInvalid(f"{raw.name} takes no {_IDS}")
        file = raw.folder / "tokenizer.json"
        try:
            self._tokenizer = Tokenizer.from_file(str(file))
            self._tokenizer.no_padding()
            self._size = _fixed(raw.inputs[_IDS])
            self._tokenizer.enable_truncation(self._size or self._foreign.max_tokens)
        except Exception as error:  # the library raises bare Exception
            raise ModelInvalid(f"{file} can't be read", code="model_missing") from error
        self._output = next(iter(raw.outputs))

    async def read(self, grant: Grant, text: str, *, budget_s: float = 5.0) -> TextScores | Abstention:
        """Score one text as it is written, as much of it as `TextReader` reads. Raises as its `read` does."""
        self._gate.check(grant, "text")
        first = self._tokenizer.encode(cut_text(text))
        windows = [window for window in (first, *first.overflowing) if window.ids]
        if not text.strip() or not windows:
            return Abstention("text", "empty")
        found = [await self._run(window, budget_s) for window in windows]
        return make_text_scores(self.card, self._foreign, _mean(found, [len(window.ids) for window in windows]))

    async def _run(self, window: Encoding, budget_s: float) -> Floats:
        given = {_IDS: window.ids, _MASK: window.attention_mask, _KINDS: window.type_ids}
        rest = max(0, (self._size or 0) - len(window.ids))
        inputs = {
            name: _as_port(np.pad(np.asarray(given[name], dtype=port.dtype), (0, rest)), port)
            for name, port in self.card.inputs.items()
        }
        return _answered(await self._batcher.run(inputs, budget_s=budget_s), self._output, self._foreign)


def make_voice_scores(card: Card, foreign: Foreign, answer: Floats) -> VoiceScores:
    """An answer in the shape of a voice reader's; what the model doesn't say is 0, and no task asks for it.

    Stress is the label `stress` where there is one, else anger or fear, as for ours.
    """
    emotions, affect, deviation = _parts(card, foreign, answer)
    tense = ("stress",) if "stress" in card.labels else _TENSE
    stress = min(1.0, sum(float(p) for name, p in zip(card.labels, emotions, strict=True) if name in tense))
    return VoiceScores(card, emotions, affect[:2], deviation[:2], stress, observation=())


def make_text_scores(card: Card, foreign: Foreign, answer: Floats) -> TextScores:
    """An answer in the shape of a text reader's; what the model doesn't say is 0, and no task asks for it."""
    emotions, affect, deviation = _parts(card, foreign, answer)
    said = {name: float(p) for name, p in zip(card.labels, emotions, strict=True)}
    return TextScores(
        card=card,
        emotions=emotions.astype(np.float32),
        sentiment=np.array([said.get(name, 0.0) for name in SENTIMENTS], dtype=np.float32),
        affect=affect.astype(np.float32),
        affect_deviation=deviation.astype(np.float32),
        stress=said.get("stress", 0.0),
    )


def _parts(card: Card, foreign: Foreign, answer: Floats) -> tuple[Floats, Floats, Floats]:
    """Emotions [labels], affect [3] and its deviations [3] in [-1, 1]."""
    affect, deviation = np.zeros(len(AFFECTS)), np.zeros(len(AFFECTS))
    if foreign.output == "affect":
        low, high = foreign.scale
        at = [AFFECTS.index(name) for name in foreign.names]
        affect[at] = np.clip(2 * (answer - low) / (high - low) - 1, -1, 1)
        if foreign.deviation:
            deviation[at] = 2 * np.asarray(foreign.deviation) / (high - low)
        return np.zeros(0), affect, deviation
    return gather_emotions(answer, foreign), affect, deviation


def gather_emotions(answer: Floats, foreign: Foreign) -> Floats:
    """Probabilities of our names from those of theirs: summed, or for independent ones 1 - prod(1 - p).

    >>> gather_emotions(np.array([0.2, 0.3, 0.5]), Foreign("probabilities", ("joy", "joy", "anger"))).tolist()
    [0.5, 0.5]
    """
    independent = foreign.output == "independent"
    found = np.ones(len(foreign.labels)) if independent else np.zeros(len(foreign.labels))
    for name, p in zip(foreign.names, answer, strict=True):
        at = foreign.labels.index(name)
        found[at] = found[at] * (1 - p) if independent else found[at] + p
    return 1 - found if independent else found


def _answered(row: dict[str, Array], output: str, foreign: Foreign) -> Floats:
    """The output as probabilities, or as affect. Raises `ModelInvalid` for another size or impossible numbers."""
    values = np.asarray(row[output], dtype=np.float64).reshape(-1)
    if (count := len(values)) != (labels := len(foreign.names)):
        raise ModelInvalid(f"the output {output} has {count} numbers for {labels} labels: correct the card")
    if not np.isfinite(values).all():
        raise FloatingPointError("the model gave values that are not numbers")
    match foreign.output:
        case "logits":
            values = np.exp(values - values.max())
            return np.asarray(values / values.sum())
        case "independent":
            return np.asarray((1 + np.tanh(values / 2)) / 2)
        case "probabilities":
            if values.min() < -1e-3 or abs(values.sum() - 1) > 1e-2:
                perhaps = 'it may be logits (say output = "logits" in the card)'
                raise ModelInvalid(f"the output {output} doesn't sum to 1: {perhaps}")
            return np.asarray(np.clip(values, 0, 1) / np.clip(values, 0, 1).sum())
    return values


def _mean(found: Sequence[Floats], sizes: Sequence[int]) -> Floats:
    return np.asarray(np.average(np.stack(found), axis=0, weights=sizes))


def _windows(speech: Samples, foreign: Foreign) -> list[Samples]:
    """At the model's own rate, cut into equal windows that it can take."""
    own = speech
    if foreign.sample_rate != SAMPLE_RATE:
        own = np.asarray(soxr.resample(speech, SAMPLE_RATE, foreign.sample_rate), dtype=np.float32)
    longest = foreign.samples or foreign.max_samples
    return np.array_split(own, max(1, -(-len(own) // longest)))


def _prepared(window: Samples, foreign: Foreign) -> Samples:
    """Normalised as the card says, then with silence after it up to the length that the graph needs.

    >>> _prepared(np.float32([1, 3]), Foreign("logits", ("a",), samples=4, normalise="unit")).round(3).tolist()
    [-1.0, 1.0, 0.0, 0.0]
    """
    if foreign.normalise == "unit":
        wide = window.astype(np.float64)
        window = ((wide - wide.mean()) / np.sqrt(wide.var() + _LEAST)).astype(np.float32)
    least = foreign.samples or foreign.min_samples
    return np.pad(window, (0, max(0, least - len(window))))


def _as_port(row: Array, port: Port) -> Array:
    """A row in the port's shape, without its batch axis: axes of size 1 are added in front.

    >>> _as_port(np.ones(8), Port("float32", (1, 1, "samples"))).shape
    (1, 1, 8)
    >>> _as_port(np.ones(8), Port("float32", ("batch", "samples"))).shape
    (8,)
    """
    inner = len(port.shape) - (port.batch_axis is not None)
    return row.reshape((1,) * (inner - row.ndim) + row.shape).astype(port.dtype)


def _checked(card: Card, modality: Literal["voice", "text"]) -> tuple[Card, Foreign]:
    foreign = read_foreign(card)
    if card.kind != modality:
        raise ModelInvalid(f"{card.name} is a {card.kind} model: run assistant evaluate {card.kind} with it")
    return adapt_card(card), foreign


def _fixed(port: Port) -> int | None:
    """The one length that a graph takes, where its last axis has a size."""
    last = port.shape[-1] if len(port.shape) > 1 else None
    return last if isinstance(last, int) else None


def _the_wave(card: Card) -> tuple[str, Port]:
    waves = [(name, port) for name, port in card.inputs.items() if name != _MASK]
    if len(waves) != 1:
        inputs = ", ".join(card.inputs)
        raise ModelInvalid(f"{card.name} takes {inputs}: a voice model takes one waveform (and a mask)")
    name, port = waves[0]
    if port.dtype not in ("float32", "float64", "float16") or not 1 <= len(port.shape) <= 3:
        raise ModelInvalid(f'{card.name}: {name} must be a waveform, such as ["float32", "batch", "samples"]')
    return name, port
