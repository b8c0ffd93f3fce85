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
class Turn:
    """One conversation, as of its last message."""

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


class Turns:
    """The conversations of late; the longest unused goes first."""

    def __init__(self, *, expires_s: float) -> None:
        self._expires_s = expires_s
        self._key = os.urandom(32)
        self._turns: OrderedDict[str, Turn] = OrderedDict()

    def heard(self, person: str, words: str | None, at: float) -> Turn:
        """A message or utterance came at unix time `at`; after a long silence it begins another conversation."""
        mark = b"" if words is None else self._mark(words)
        before = self.now(person, at)
        turn = Turn(at, goodbye=words is not None and says_goodbye(words), mark=mark)
        if before is not None:
            again = bool(mark) and mark == before.mark
            repeated = before.repeated + 1 if again else 0
            turn = replace(turn, count=before.count + 1, repeated=repeated, held=before.held)
        self._keep(person, turn)
        return turn

    def now(self, person: str, at: float) -> Turn | None:
        """The conversation that goes on at unix time `at`, if there is one."""
        turn = self._turns.get(person)
        return None if turn is None or at - turn.at >= self._expires_s else turn

    def hold(self, person: str, held: Held, at: float) -> None:
        """Keep what the tone holds from now on."""
        turn = self.now(person, at)
        if held or turn is not None:
            self._keep(person, replace(turn or Turn(at, count=0), held=held))

    def ease(self, person: str) -> None:
        """Hold nothing any more: consent to what it was derived from is gone."""
        if person in self._turns:
            self._turns[person] = replace(self._turns[person], held=NOTHING)

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        self._turns.pop(person, None)

    def _keep(self, person: str, turn: Turn) -> None:
        self._turns[person] = turn
        self._turns.move_to_end(person)
        if len(self._turns) > _PEOPLE:
            self._turns.popitem(last=False)

    def _mark(self, words: str) -> bytes:
        plain = " ".join(words.casefold().split())
        return (
            blake2b(plain.encode("utf-8", "surrogatepass"), key=self._key, digest_size=16).digest()
            if plain
            else b""
        )
