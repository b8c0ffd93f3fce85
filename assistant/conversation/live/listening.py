"""Where a stream stands: how far it was judged, and the utterance that is spoken now.

Pure: it holds no audio and asks no model and no clock. Positions count samples since the stream began.
"""

from __future__ import annotations

from dataclasses import dataclass

from assistant.audio import SAMPLE_RATE
from assistant.audio.segment import (
    Edge,
    SegmentCut,
    SegmentEnd,
    SegmentRules,
    SegmentStart,
    UtteranceState,
    advance_segment,
)
from assistant.audio.vad import CHUNK

_CHUNK_S = CHUNK / SAMPLE_RATE
_ESTIMATE_EVERY_S = 0.5
"""Of speech, between two estimates."""
_WORDS_EVERY_S = 1.0
"""Of speech, between two looks for new words."""


@dataclass(slots=True, eq=False)
class Utterance:
    """An utterance that is still spoken."""

    start: int
    """Position of its first sample."""
    speech: int = 0
    """Samples of speech so far, without pauses."""
    _next_estimate: int = round(_ESTIMATE_EVERY_S * SAMPLE_RATE)
    _next_words: int = round(_WORDS_EVERY_S * SAMPLE_RATE)

    def take_estimate_due(self) -> bool:
        """Whether an estimate is due; then the next one is due only after more speech."""
        if due := self.speech >= self._next_estimate:
            self._next_estimate = _next_multiple(self.speech, _ESTIMATE_EVERY_S)
        return due

    def take_words_due(self) -> bool:
        """The same for a look for new words."""
        if due := self.speech >= self._next_words:
            self._next_words = _next_multiple(self.speech, _WORDS_EVERY_S)
        return due


@dataclass(frozen=True, slots=True)
class UtteranceBegan:
    """Somebody speaks."""

    utterance: Utterance


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """An utterance is over."""

    utterance: Utterance
    end: int
    """Position behind it; what comes after is not part of it."""
    silence: int
    """Samples of silence at its end."""


Change = UtteranceBegan | UtteranceEnded


class Listening:
    """Cuts a stream into utterances: by the rules, or, without rules, only where it is told to.

    >>> listening = Listening(SegmentRules(start_s=0.064, silence_s=0.064, prefix_s=0.0))
    >>> for probability in (0.9, 0.9, 0.9, 0.0, 0.0):
    ...     for change in listening.judge(probability):
    ...         print(type(change).__name__, change.utterance.start, listening.judged)
    UtteranceBegan 0 1024
    UtteranceEnded 0 2560
    """

    def __init__(self, rules: SegmentRules | None) -> None:
        self.restart(rules, 0)

    def restart(self, rules: SegmentRules | None, position: int) -> None:
        """Begin again at a position, by these rules; what was heard before belongs to no utterance any more."""
        self.rules = rules
        self.utterance: Utterance | None = None
        self.judged = position
        """Up to here it is known whether there is speech."""
        self._free = position
        """Before this, all audio belongs to earlier utterances."""
        self._state = UtteranceState()
        self._probability = 0.0

    @property
    def needed_from(self) -> int:
        """Audio before this position can't be part of an utterance that begins later."""
        if self.rules is None:
            return self.judged
        return self.judged - round((self.rules.prefix_s + self.rules.start_s + _CHUNK_S) * SAMPLE_RATE)

    def judge(self, probability: float | None) -> tuple[Change, ...]:
        """Take in a chunk that is speech with this probability; None: as the one before it, since nobody knows."""
        assert self.rules is not None
        if probability is not None:
            self._probability = probability
        self.judged += CHUNK
        is_speech = self.rules.is_speech(self._probability, speaking=self._state.speaking)
        if is_speech and self.utterance is not None:
            self.utterance.speech += CHUNK
        self._state, edge = advance_segment(self._state, _CHUNK_S, is_speech, self.rules)
        return () if edge is None else self._changes(edge, self.rules)

    def extend(self, samples: int) -> Utterance:
        """Without rules: so many more samples belong to the utterance, which begins with the first of them."""
        if self.utterance is None:
            self.utterance = Utterance(self.judged)
        self.judged += samples
        self.utterance.speech += samples
        return self.utterance

    def end(self, position: int) -> UtteranceEnded | None:
        """End the utterance at a position and begin again there; None where nobody is speaking."""
        if self.utterance is None:
            return None
        ended = UtteranceEnded(self.utterance, position, _samples(self._state.silence_s))
        self.restart(self.rules, position)
        return ended

    def _changes(self, edge: Edge, rules: SegmentRules) -> tuple[Change, ...]:
        match edge:
            case SegmentStart(length_s):
                length = _samples(length_s)
                start = max(self._free, self.judged - length)
                return (self._begin(start, speech=length - _samples(rules.prefix_s)),)
            case SegmentEnd(silence_s):
                return (self._end(self.judged, silence=_samples(silence_s)),)
            case SegmentCut(rest_s):
                cut = self.judged - _samples(rest_s)
                return self._end(cut, silence=0), self._begin(cut)

    def _begin(self, start: int, speech: int = 0) -> UtteranceBegan:
        self.utterance = Utterance(start, speech)
        return UtteranceBegan(self.utterance)

    def _end(self, position: int, *, silence: int) -> UtteranceEnded:
        assert self.utterance is not None
        ended = UtteranceEnded(self.utterance, position, silence)
        self.utterance, self._free = None, position
        return ended


def _samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def _next_multiple(speech: int, every_s: float) -> int:
    """The next multiple of `every_s` seconds, in samples, so that frames of any length keep the pace.

    >>> [_next_multiple(samples, 0.5) for samples in (0, 8_192, 16_000)]
    [8000, 16000, 24000]
    """
    every = _samples(every_s)
    return (speech // every + 1) * every
