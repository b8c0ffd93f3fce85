"""What is remembered of people: readings, how far their conversation is, the moods that their decisions used.

In memory, bounded, shared by a person's messages and streams, and without a word of what was said: of a message
only a keyed hash is kept, until the next one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from assistant.bounded import BoundedDict
from assistant.consent.receipt import Record
from assistant.emotion import Mood
from assistant.mood.timeline import Timeline
from assistant.text.goodbye import says_goodbye
from assistant.tone.policy import NOTHING, Held

_PEOPLE = 20_000
_DECISIONS = 20_000


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one conversation is, as of its last message."""

    at: float
    """Unix seconds."""
    count: int = 1
    """Messages and utterances so far."""
    goodbye: bool = False
    """The last was a goodbye and nothing else."""
    repeated: int = 0
    """How many times in a row it was the same as the one before."""
    mark: bytes = b""
    """Of the last message; empty where its words are not known."""
    held: Held = field(default_factory=lambda: NOTHING)
    """What the tone still holds."""


class ProgressMemory:
    """The recent conversations; the longest unused goes first."""

    def __init__(self, *, expires_s: float) -> None:
        self._expires_s = expires_s
        self._key = os.urandom(32)
        self._progress = BoundedDict[str, Progress](_PEOPLE)

    def add_message(self, person: str, words: str | None, at: float) -> Progress:
        """A message or utterance came at unix time `at`; after a long silence it begins another conversation."""
        mark = b"" if words is None else self._mark(words)
        progress = Progress(at, goodbye=words is not None and says_goodbye(words), mark=mark)
        if (before := self.current(person, at)) is not None:
            repeated = before.repeated + 1 if mark and mark == before.mark else 0
            progress = replace(progress, count=before.count + 1, repeated=repeated, held=before.held)
        self._progress[person] = progress
        return progress

    def current(self, person: str, at: float) -> Progress | None:
        """The conversation that goes on at unix time `at`, if there is one."""
        progress = self._progress.get(person)
        return None if progress is None or at - progress.at >= self._expires_s else progress

    def hold_tone(self, person: str, held: Held, at: float) -> None:
        """Keep what the tone holds from now on."""
        progress = self.current(person, at)
        if held or progress is not None:
            self._progress[person] = replace(progress or Progress(at, count=0), held=held)

    def release_tone(self, person: str) -> None:
        """Hold nothing any more: consent to what it was derived from is gone."""
        if person in self._progress:
            self._progress[person] = replace(self._progress[person], held=NOTHING)

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        self._progress.pop(person, None)

    def _mark(self, words: str) -> bytes:
        plain = " ".join(words.casefold().split()).encode("utf-8", "surrogatepass")
        return blake2b(plain, key=self._key, digest_size=16).digest() if plain else b""


@dataclass(frozen=True, slots=True)
class MoodsUsed:
    """The mood that a decision used for its tone and for its ranking; None where none was used."""

    person: str
    """Pseudonym."""
    tone: Mood | None
    content: Mood | None


class MoodsUsedMemory:
    """By decision; the oldest goes first."""

    def __init__(self) -> None:
        self._used = BoundedDict[str, MoodsUsed](_DECISIONS)

    def add(self, decision: str, used: MoodsUsed) -> None:
        """Remember what a decision used, if anything."""
        if used.tone is not None or used.content is not None:
            self._used[decision] = used

    def find(self, decision: str, now: float) -> MoodsUsed | None:
        """What a decision used, while the mood is not expired at unix time `now`."""
        if (used := self._used.get(decision)) is None:
            return None
        tone, content = (mood if mood and now < mood.expires_at else None for mood in (used.tone, used.content))
        if tone is None and content is None:
            del self._used[decision]
            return None
        return MoodsUsed(used.person, tone, content)

    def forget(self, person: str) -> None:
        """Drop all moods of a person; each may rest on any modality."""
        for decision in [decision for decision, used in self._used.items() if used.person == person]:
            del self._used[decision]


class Memory:
    """A timeline for each recent person; the longest unused goes first."""

    def __init__(self, new_timeline: Callable[[], Timeline], *, expires_s: float) -> None:
        """`expires_s`: seconds without a message after which another conversation begins."""
        self._new_timeline = new_timeline
        self._timelines = BoundedDict[str, Timeline](_PEOPLE)
        self._disclosed = BoundedDict[str, float](_PEOPLE)
        self.progress = ProgressMemory(expires_s=expires_s)
        self.moods_used = MoodsUsedMemory()

    def find_timeline(self, person: str) -> Timeline | None:
        """The person's timeline, if there is one."""
        return self._timelines.get(person)

    def timeline(self, person: str) -> Timeline:
        """The person's timeline, made where there is none."""
        timeline = self._timelines[person] = self._timelines.get(person) or self._new_timeline()
        return timeline

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        self._timelines.pop(person, None)
        self._disclosed.pop(person, None)
        self.progress.forget(person)
        self.moods_used.forget(person)

    def disclosed_at(self, person: str) -> float | None:
        """When the person was last told that this is a machine, in unix seconds."""
        return self._disclosed.get(person)

    def note_disclosure(self, person: str, at: float) -> None:
        """They were told, at unix time `at`. Somebody who was forgotten is told again."""
        self._disclosed[person] = at

    def apply_consent(self, record: Record) -> None:
        """A decision about consent was recorded: where a purpose ends, drop what was derived from its modality."""
        if record.event in ("erased", "restricted"):
            self.forget(record.person)
        elif record.event in ("withdrawn", "expired"):
            self.progress.release_tone(record.person)
            self.moods_used.forget(record.person)
            timeline = self._timelines.get(record.person)
            if record.modality is not None and timeline is not None:
                timeline.forget(record.modality)
