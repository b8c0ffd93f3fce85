"""The events of a stream. `server.contract.events` gives each its name and shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from assistant.consent.receipt import Record
from assistant.conversation.session import Answer
from assistant.emotion import Abstention, Mood, Reading

Role = Literal["user", "assistant", "system"]
"""Who wrote an item. Only what a `user` wrote is read."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """An utterance began."""

    item: str
    at_ms: int
    """Where its audio begins, padding included: milliseconds of audio since the stream began."""


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """It ended."""

    item: str
    at_ms: int
    """Where its audio ends, with the silence that ended it."""


@dataclass(frozen=True, slots=True)
class Committed:
    """Its audio is complete, and what was said in it will be told."""

    item: str
    previous: str | None
    """The item before it."""


@dataclass(frozen=True, slots=True)
class Written:
    """An item that somebody wrote, or transcribed themselves, was taken in."""

    item: str
    previous: str | None
    text: str
    role: Role = "user"


@dataclass(frozen=True, slots=True)
class Words:
    """More words of an utterance. What was told once is never taken back."""

    item: str
    delta: str


@dataclass(frozen=True, slots=True)
class Transcribed:
    """All words of an utterance."""

    item: str
    text: str
    language: str | None
    seconds: float
    """Of audio."""


@dataclass(frozen=True, slots=True)
class NotTranscribed:
    """It could not be transcribed."""

    item: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Affect:
    """An estimate from the voice: in the middle of an utterance, or `final` at its end."""

    item: str
    final: bool
    window_s: float
    """Seconds of speech it was made from."""
    end_ms: int
    """Where these end, or the utterance where it is final: milliseconds of audio since the stream began."""
    said: Reading | Abstention
    mood: Mood | None


@dataclass(frozen=True, slots=True)
class Replied:
    """The tone and the recommendations after an utterance or a written item."""

    item: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong while an utterance was answered."""

    item: str
    error: Exception


@dataclass(frozen=True, slots=True)
class NoticeDue:
    """Voice may be read once the notice has been shown and acknowledged."""

    version: str
    also: tuple[str, ...] = ()
    """What the law of the place asks to be said besides."""


@dataclass(frozen=True, slots=True)
class ConsentChanged:
    """The person decided something, here or elsewhere."""

    record: Record


# fmt: off
Event = (SpeechStarted | SpeechStopped | Committed | Written | Words | Transcribed | NotTranscribed | Affect
         | Replied | Failed | NoticeDue | ConsentChanged)
# fmt: on
