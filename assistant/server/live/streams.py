"""The WebSockets that are open now: how many there may be, and how long the key or token of each may go on."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from aiohttp import web

from assistant.config import Settings
from assistant.errors import Busy, Unavailable
from assistant.profile.person import App
from assistant.server.http.caller import KEY_PROTOCOL, Caller, protocols_of
from assistant.services import Services

log = logging.getLogger(__name__)

HEARTBEAT_S = 20.0
"""Between two questions whether a client is still there."""
EVERY_S = 0.1
"""Between two looks: another process that revokes is obeyed within a quarter of a second."""
BLIND_S = 5.0
"""So long a stream goes on while the database can't say whether it may."""


def subprotocol(request: web.Request, known: str) -> tuple[str, ...]:
    """The subprotocol to agree on: the one that is known, else the client's first that is no credential.

    One that is not known changes nothing. Where nothing is agreed on, the credential would be written to the log.
    """
    offered = [name for name in protocols_of(request) if name]
    named = [name for name in offered if not name.startswith(KEY_PROTOCOL)]
    return (known,) if known in offered else tuple(named[:1] or offered[:1])


@dataclass(frozen=True, slots=True)
class Streams:
    """The sockets that are open now, and how many each app has."""

    open: set[web.WebSocketResponse] = field(default_factory=set)
    apps: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def admitted(self, app: App, socket: web.WebSocketResponse, settings: Settings) -> Iterator[None]:
        """Count this socket while it is open.

        Raises `Busy`: with code `too_many_streams`, or `too_many_streams_of_app` where other apps may still come.
        """
        if len(self.open) >= settings.max_streams:
            raise Busy("too many streams are open; try again soon", code="too_many_streams")
        if self.apps[app.id] >= settings.max_streams_per_app:
            raise Busy(
                f"this app has {settings.max_streams_per_app} streams open; close one first",
                code="too_many_streams_of_app",
            )
        self.open.add(socket)
        self.apps[app.id] += 1
        try:
            yield
        finally:
            self.open.discard(socket)
            self.apps[app.id] -= 1
            if not self.apps[app.id]:
                del self.apps[app.id]


STREAMS: web.AppKey[Streams] = web.AppKey("streams", Streams)


@dataclass(frozen=True, slots=True, eq=False)
class _Watched:
    caller: Caller
    end: Callable[[str], None]


class Watch:
    """Asks about the credentials of all open streams together: one query for the keys, one for the tokens."""

    def __init__(self, services: Services, every_s: float = EVERY_S, blind_s: float = BLIND_S) -> None:
        self._services = services
        self._every_s = every_s
        self._may_be_blind_s = blind_s
        self._watched: set[_Watched] = set()
        self._task: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._blind_s = 0.0

    @contextmanager
    def over(self, caller: Caller, end: Callable[[str], None]) -> Iterator[None]:
        """Call `end` with a code, once, if the caller's credential ends meanwhile."""
        watched = _Watched(caller, end)
        self._watched.add(watched)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            self._watched.discard(watched)

    def look_soon(self) -> None:
        """Something was revoked here: don't wait."""
        self._soon.set()

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while self._watched:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every_s):
                    await self._soon.wait()
            self._soon.clear()
            try:
                await self._look()
                self._blind_s = 0.0
            except Unavailable as error:
                self._look_away(error.code)

    async def _look(self) -> None:
        watched, now = tuple(self._watched), self._services.clock()
        callers, storage = [each.caller for each in watched], self._services.storage
        keys = await storage.apps.list_ended({caller.key for caller in callers if caller.person is None})
        epochs = await storage.people.epochs({caller.person for caller in callers if caller.person is not None})
        for each in watched:
            caller, code = each.caller, None
            if caller.person is None:
                code = keys.get(caller.key)
            elif epochs.get(caller.person) != caller.epoch:
                code = "token_revoked"
            elif caller.expires_at is not None and caller.expires_at <= now:
                code = "token_expired"
            if code is not None:
                self._end(each, code)

    def _look_away(self, code: str) -> None:
        self._blind_s += self._every_s
        if self._blind_s >= self._may_be_blind_s:
            log.error("streams end: the database can't say whether they may go on (%s)", code)
            for each in tuple(self._watched):
                self._end(each, code)

    def _end(self, watched: _Watched, code: str) -> None:
        if watched in self._watched:
            self._watched.discard(watched)
            watched.end(code)


WATCH: web.AppKey[Watch] = web.AppKey("watch", Watch)
