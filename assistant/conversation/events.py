"""What a stream tells its listener. `server.wire` gives each its name and shape."""

from __future__ import annotations

from dataclasses import dataclass

from assistant.consent.receipt import Record
from assistant.conversation.session import Answer
from assistant.emotion import Abstention, Mood, Reading


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """An utterance began."""

    item: str
    at_ms: int
    """Milliseconds of audio since the stream began."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """It ended."""

    item: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Affect:
    """An estimate from the voice: in the middle of an utterance, or `final` at its end."""

    item: str
    final: bool
    window_s: float
    """Seconds of speech it was made from."""
    said: Reading | Abstention
    mood: Mood | None


@dataclass(frozen=True, slots=True)
class Replied:
    """The tone and the recommendations after an utterance or a written item."""

    item: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class NoticeDue:
    """Voice may be read once the notice has been shown and acknowledged."""

    version: str


@dataclass(frozen=True, slots=True)
class ConsentChanged:
    """The person decided something, here or elsewhere."""

    record: Record


Event = SpeechStarted | SpeechStopped | Affect | Replied | NoticeDue | ConsentChanged
