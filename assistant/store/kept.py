"""What was read from the database and is kept in memory, as long as nothing of it has changed.

SQLite tells that cheaply whenever it is asked (`look`). PostgreSQL tells it by the feed of changes: what is kept
counts only while the feed was heard within the last second. Where neither tells, nothing is kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from assistant.errors import Unavailable

SILENCE_S = 1.0
"""After so many seconds without a word of the feed everything is read anew."""
_MOST = 20_000
_EVERYTHING = ""

Value = TypeVar("Value")


class KeptInMemory:
    """Values by key, each about one person (by pseudonym) or one app, whose changes drop it."""

    def __init__(
        self,
        look: Callable[[], None] | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        most: int = _MOST,
    ) -> None:
        """`look` drops what has changed since the last look. Raises `Unavailable` where it can't tell."""
        self._look, self._clock, self._most = look, clock, most
        self._values: OrderedDict[tuple[str, ...], tuple[str, Any]] = OrderedDict()
        self._keys: dict[str, set[tuple[str, ...]]] = {}
        """The keys of what is kept about each person or app."""
        self._reads: dict[object, set[str]] = {}
        """What was dropped while something was read: the reading may be older than the change."""
        self._complete_at = -float("inf")
        self._looked = False

    def is_complete(self) -> bool:
        """Whether everything was dropped that has changed."""
        if self._look is None:
            return self._clock() - self._complete_at < SILENCE_S
        if not self._looked:
            try:
                self._look()
            except Unavailable:
                return False
            # whoever asks later in this turn of the event loop asked at the same time
            asyncio.get_running_loop().call_soon(self._end_turn)
            self._looked = True
        return True

    async def read(
        self, key: tuple[str, ...], read: Callable[[], Awaitable[Value]], about: Callable[[Value], str]
    ) -> Value:
        """The value kept under `key`, or what `read` gives. It is kept until something changes `about` its owner.

        What `read` raises is passed on, and not kept.
        """
        complete, held = self.is_complete(), self._values.get(key)
        if held is not None:
            if complete:
                self._values.move_to_end(key)
                value: Value = held[1]
                return value
            self._remove(key)
        reading, dropped = object(), set[str]()
        self._reads[reading] = dropped
        try:
            value = await read()
        finally:
            del self._reads[reading]
        owner = about(value)
        if complete and not dropped & {owner, _EVERYTHING}:
            self._keep(key, owner, value)
        return value

    def _end_turn(self) -> None:
        self._looked = False

    def drop(self, *owners: str) -> None:
        """Drop what is kept about people or apps that have changed."""
        for owner in owners:
            for key in self._keys.pop(owner, ()):
                del self._values[key]
            for dropped in self._reads.values():
                dropped.add(owner)

    def clear(self) -> None:
        """Drop everything."""
        self._values.clear()
        self._keys.clear()
        for dropped in self._reads.values():
            dropped.add(_EVERYTHING)

    def mark_complete(self, at: float) -> None:
        """Every change that was committed before `at` (by the monotonic clock) was heard."""
        self._complete_at = at

    def _keep(self, key: tuple[str, ...], owner: str, value: Any) -> None:
        self._remove(key)
        self._values[key] = owner, value
        self._keys.setdefault(owner, set()).add(key)
        if len(self._values) > self._most:
            self._remove(next(iter(self._values)))

    def _remove(self, key: tuple[str, ...]) -> None:
        held = self._values.pop(key, None)
        if held is not None:
            keys = self._keys[held[0]]
            keys.discard(key)
            if not keys:
                del self._keys[held[0]]
