"""Where an utterance begins and ends: no model and no clock, only (seconds, is it speech?)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Edge(Enum):
    """What a chunk brought about."""

    STARTED = "started"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class SegmentRules:
    """How speech is cut. All in seconds, but for the threshold."""

    threshold: float = 0.5
    """Speech probability that starts an utterance; 0.15 less keeps it going."""
    start_s: float = 0.16
    """Speech needed before a turn starts, so that a cough doesn't."""
    silence_s: float = 0.5
    """Silence that ends it."""
    longest_s: float = 15.0
    """A monologue is cut here."""


class Segmenter:
    """Turns a run of probabilities into edges.

    >>> cut = Segmenter(SegmentRules(start_s=0.2, silence_s=0.3))
    >>> [edge.value for p in [0, 1, 1, 1, 0, 1, 0, 0, 0, 0] if (edge := cut.process(0.1, p))]
    ['started', 'stopped']
    """

    def __init__(self, rules: SegmentRules) -> None:
        self.rules = rules
        self.speaking = False
        self._speech_s = 0.0
        self._silence_s = 0.0
        self._length_s = 0.0

    @property
    def trailing_silence_s(self) -> float:
        """Silence at the end of what was heard so far."""
        return self._silence_s

    def process(self, seconds: float, probability: float) -> Edge | None:
        """Hear `seconds` more, of which the model says `probability`."""
        threshold = self.rules.threshold - (0.15 if self.speaking else 0.0)
        if probability >= threshold:
            self._speech_s += seconds
            self._silence_s = 0.0
        else:
            self._silence_s += seconds
            if not self.speaking:
                self._speech_s = 0.0
        tolerance = seconds / 2  # chunks rarely add up to the limits exactly
        if not self.speaking:
            if self._speech_s + tolerance > self.rules.start_s:
                self.speaking, self._length_s = True, self._speech_s
                return Edge.STARTED
            return None
        self._length_s += seconds
        ended = self._silence_s + tolerance > self.rules.silence_s
        if ended or self._length_s + tolerance > self.rules.longest_s:
            self.speaking, self._speech_s = False, 0.0
            return Edge.STOPPED
        return None
