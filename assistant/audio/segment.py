"""Finds where an utterance starts and ends: no model and no clock, only (seconds, is it speech?)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from assistant.audio.pcm import Samples

_HYSTERESIS = 0.15
"""Speech goes on at a probability this much lower than the threshold that starts it."""
_FRAME = 480
"""Samples over which loudness is measured to find a quiet place (30 ms)."""


@dataclass(frozen=True, slots=True)
class SegmentRules:
    """How speech is cut into utterances. All in seconds, except the threshold."""

    threshold: float = 0.5
    """Speech probability that starts an utterance; 0.15 less keeps it going."""
    start_s: float = 0.25
    """Uninterrupted speech needed before a turn starts, so that a breath or a short cough doesn't."""
    silence_s: float = 0.5
    """Silence that ends an utterance."""
    prefix_s: float = 0.3
    """Audio before the first speech that belongs to the utterance."""
    longest_s: float = 15.0
    """No utterance lasts longer, with its prefix: a monologue is cut at the best pause before that."""

    def is_speech(self, probability: float, *, speaking: bool) -> bool:
        """Whether a chunk counts as speech, in the middle of an utterance or before one.

        >>> [SegmentRules().is_speech(0.4, speaking=speaking) for speaking in (False, True)]
        [False, True]
        """
        return probability >= self.threshold - (_HYSTERESIS if speaking else 0.0)


@dataclass(frozen=True, slots=True)
class Pause:
    """A stretch without speech inside an utterance."""

    middle_s: float
    """Middle of the pause, from the start of the utterance."""
    length_s: float


@dataclass(frozen=True, slots=True)
class UtteranceState:
    """State of an utterance so far, or of speech that may become one."""

    speaking: bool = False
    speech_s: float = 0.0
    """Uninterrupted speech before an utterance starts."""
    silence_s: float = 0.0
    """Silence at the end of the utterance so far."""
    length_s: float = 0.0
    """Length of the utterance, with its prefix."""
    pauses: tuple[Pause, ...] = ()
    """Pauses that ended, in order."""


@dataclass(frozen=True, slots=True)
class SegmentStart:
    """An utterance started `length_s` ago, including its prefix."""

    length_s: float


@dataclass(frozen=True, slots=True)
class SegmentEnd:
    """The utterance ended now; its last `silence_s` are silence."""

    silence_s: float


@dataclass(frozen=True, slots=True)
class SegmentCut:
    """The utterance was too long and was cut `rest_s` ago; the next one started there and goes on."""

    rest_s: float


Edge = SegmentStart | SegmentEnd | SegmentCut


def advance_segment(
    turn: UtteranceState, seconds: float, is_speech: bool, rules: SegmentRules
) -> tuple[UtteranceState, Edge | None]:
    """Process `seconds` more audio, all speech or all silence; returns the new state and whether an utterance
    started or ended.

    >>> rules, turn = SegmentRules(start_s=0.25, silence_s=0.375, prefix_s=0.5), UtteranceState()
    >>> for heard in "-#-###-#---":
    ...     turn, edge = advance_segment(turn, 0.125, heard == "#", rules)
    ...     if edge:
    ...         print(edge)
    SegmentStart(length_s=0.75)
    SegmentEnd(silence_s=0.375)
    """
    if not turn.speaking:
        return _before(turn, seconds, is_speech, rules)
    silence_s, pauses = turn.silence_s, turn.pauses
    if not is_speech:
        silence_s += seconds
    elif silence_s:
        pauses = (*pauses, Pause(turn.length_s - silence_s / 2, silence_s))
        silence_s = 0.0
    length_s = turn.length_s + seconds
    if silence_s + seconds / 2 > rules.silence_s:  # chunks rarely add up to the limits exactly
        return UtteranceState(), SegmentEnd(silence_s)
    if length_s + seconds <= rules.longest_s:
        return UtteranceState(True, 0.0, silence_s, length_s, pauses), None
    return _cut(UtteranceState(True, 0.0, silence_s, length_s, pauses))


def _before(
    turn: UtteranceState, seconds: float, is_speech: bool, rules: SegmentRules
) -> tuple[UtteranceState, Edge | None]:
    if not is_speech:
        return (UtteranceState() if turn.speech_s else turn), None
    speech_s = turn.speech_s + seconds
    if speech_s + seconds / 2 <= rules.start_s:
        return UtteranceState(speech_s=speech_s), None
    length_s = speech_s + rules.prefix_s
    return UtteranceState(speaking=True, length_s=length_s), SegmentStart(length_s)


def _cut(turn: UtteranceState) -> tuple[UtteranceState, Edge]:
    """End an utterance in the middle of its longest pause, the later of equals; without any, here.

    What lies behind the cut begins the next one, so nothing is lost. Where the pause at the very end is the best,
    it just ends.

    >>> _cut(UtteranceState(True, length_s=15.0, pauses=(Pause(3.0, 0.2), Pause(10.0, 0.4))))
    (UtteranceState(speaking=True, speech_s=0.0, silence_s=0.0, length_s=5.0, pauses=()), SegmentCut(rest_s=5.0))
    >>> _cut(UtteranceState(True, length_s=15.0, silence_s=0.4, pauses=(Pause(3.0, 0.2),)))[1]
    SegmentEnd(silence_s=0.4)
    """
    longest_s = max((pause.length_s for pause in turn.pauses), default=0.0)
    if turn.silence_s and turn.silence_s >= longest_s:
        return UtteranceState(), SegmentEnd(turn.silence_s)
    at_s = max((p.middle_s for p in turn.pauses if p.length_s == longest_s), default=turn.length_s)
    rest_s = turn.length_s - at_s
    later = tuple(replace(p, middle_s=p.middle_s - at_s) for p in turn.pauses if p.middle_s > at_s)
    return replace(turn, length_s=rest_s, pauses=later), SegmentCut(rest_s)


def split_speech(speech: Samples, longest: int) -> list[Samples]:
    """Speech in pieces of at most `longest` samples, each cut at the quietest place in its last third.

    For audio that a client committed as a whole; nothing is lost between the pieces.

    >>> [len(piece) for piece in split_speech(np.ones(16_000, dtype=np.float32), 16_000)]
    [16000]
    """
    cut: list[Samples] = []
    while len(speech) > longest:
        at = _quietest(speech, longest * 2 // 3, longest)
        cut.append(speech[:at])
        speech = speech[at:]
    return [*cut, speech]


def _quietest(speech: Samples, after: int, before: int) -> int:
    """The middle of the quietest 30 ms between two positions; `before` where they lie closer than that."""
    count = (before - after) // _FRAME
    if not count:
        return before
    power = np.square(speech[after : after + count * _FRAME].reshape(count, _FRAME)).mean(axis=1)
    return after + int(np.argmin(power)) * _FRAME + _FRAME // 2
