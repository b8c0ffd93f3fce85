"""Where each conversation stands: how many turns, whether the same was asked again, and the tone that is held.

In memory, bounded, and without a word of what was said: of a message only a keyed hash is kept, until the next one.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from hashlib import blake2b

from assistant.text.goodbye import says_goodbye
from assistant.tone.steady import NOTHING, Held

_PEOPLE = 20_000


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
        self._progress: OrderedDict[str, Progress] = OrderedDict()

    def add_message(self, person: str, words: str | None, at: float) -> Progress:
        """A message or utterance came at unix time `at`; after a long silence it begins another conversation."""
        mark = b"" if words is None else self._mark(words)
        before = self.current(person, at)
        progress = Progress(at, goodbye=words is not None and says_goodbye(words), mark=mark)
        if before is not None:
            again = bool(mark) and mark == before.mark
            repeated = before.repeated + 1 if again else 0
            progress = replace(progress, count=before.count + 1, repeated=repeated, held=before.held)
        self._keep(person, progress)
        return progress

    def current(self, person: str, at: float) -> Progress | None:
        """The conversation that goes on at unix time `at`, if there is one."""
        progress = self._progress.get(person)
        return None if progress is None or at - progress.at >= self._expires_s else progress

    def hold_tone(self, person: str, held: Held, at: float) -> None:
        """Keep what the tone holds from now on."""
        progress = self.current(person, at)
        if held or progress is not None:
            self._keep(person, replace(progress or Progress(at, count=0), held=held))

    def release_tone(self, person: str) -> None:
        """Hold nothing any more: consent to what it was derived from is gone."""
        if person in self._progress:
            self._progress[person] = replace(self._progress[person], held=NOTHING)

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        self._progress.pop(person, None)

    def _keep(self, person: str, progress: Progress) -> None:
        self._progress[person] = progress
        self._progress.move_to_end(person)
        if len(self._progress) > _PEOPLE:
            self._progress.popitem(last=False)

    def _mark(self, words: str) -> bytes:
        plain = " ".join(words.casefold().split())
        return (
            blake2b(plain.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()
            if plain
            else b""
        )
