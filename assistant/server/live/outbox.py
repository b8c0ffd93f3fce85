"""What waits to be sent on one WebSocket: bounded, and only the newest interim estimate of the voice."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from assistant.server.contract.events import AffectResult, ServerEvent

LIMIT = 256
"""Events."""


class Full(Exception):
    """The client doesn't read what it is sent."""


class Ended(Exception):
    """Everything was sent, and there is nothing more to come."""


class Outbox:
    """Events in their order. An interim `affect.result` that was not sent yet is replaced by the next one."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._events: deque[ServerEvent] = deque()
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self.ended = False
        self.shed = 0
        """Interim estimates that were replaced before they were sent."""
        self.overflowed = False

    def put(self, event: ServerEvent) -> None:
        """Add an event; never blocks. Past the limit nothing more is taken and `get` raises `Full`."""
        if self.ended:
            return
        if _interim(event):
            waiting = len(self._events)
            self._events = deque(waiting for waiting in self._events if not _interim(waiting))
            self.shed += waiting - len(self._events)
        if len(self._events) >= self._limit:
            self.overflowed = True
        else:
            self._events.append(event)
        self._ready.set()

    async def room(self) -> None:
        """Wait until half of it is free: who asks for more answers has to read those before."""
        while 2 * len(self._events) >= self._limit and not self.ended:
            self._room.clear()
            await self._room.wait()

    def drop_affect(self) -> None:
        """Unsay every estimate that was not sent yet."""
        self.drop(lambda waiting: isinstance(waiting, AffectResult))

    def drop(self, unsaid: Callable[[ServerEvent], bool]) -> None:
        """Unsay what was not sent yet and is one of these."""
        self._events = deque(waiting for waiting in self._events if not unsaid(waiting))

    def end(self) -> None:
        """Take no more; `get` gives what is left and then raises `Ended`."""
        self.ended = True
        self._ready.set()
        self._room.set()

    async def get(self) -> ServerEvent:
        """The next event. Raises `Full` once it has overflowed."""
        while True:
            if self.overflowed:
                raise Full
            if self._events:
                event = self._events.popleft()
                if 2 * len(self._events) < self._limit:
                    self._room.set()
                return event
            if self.ended:
                raise Ended
            self._ready.clear()
            await self._ready.wait()


def _interim(event: ServerEvent) -> bool:
    return isinstance(event, AffectResult) and not event.final
