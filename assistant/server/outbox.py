"""What waits to be sent on one WebSocket: bounded, and only the newest interim estimate of the voice."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

Event = dict[str, Any]


class Full(Exception):
    """The client doesn't read what it is sent."""


class Outbox:
    """Events in their order. An interim `affect.result` that was not sent yet is replaced by the next one."""

    def __init__(self, limit: int = 512) -> None:
        self._limit = limit
        self._events: deque[Event] = deque()
        self._ready = asyncio.Event()
        self.overflowed = False

    def put(self, event: Event) -> None:
        """Add an event; never blocks. Past the limit nothing more is taken and `get` raises `Full`."""
        if _interim(event):
            self._events = deque(waiting for waiting in self._events if not _interim(waiting))
        if len(self._events) >= self._limit:
            self.overflowed = True
        else:
            self._events.append(event)
        self._ready.set()

    def drop_affect(self) -> None:
        """Unsay every estimate that was not sent yet."""
        self._events = deque(waiting for waiting in self._events if waiting["type"] != "affect.result")

    async def get(self) -> Event:
        """The next event. Raises `Full` once it has overflowed."""
        while True:
            if self.overflowed:
                raise Full
            if self._events:
                return self._events.popleft()
            self._ready.clear()
            await self._ready.wait()


def _interim(event: Event) -> bool:
    return event["type"] == "affect.result" and not event["final"]
