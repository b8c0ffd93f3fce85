"""Live streams end when the key or token that opened them opens nothing any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aiohttp import web

from assistant.errors import Unavailable
from assistant.server.http.caller import Caller
from assistant.services import Services

log = logging.getLogger(__name__)

EVERY_S = 0.1
"""Between two looks: another process that revokes is obeyed within a quarter of a second."""
BLIND_S = 5.0
"""So long a stream goes on while the database can't say whether it may."""


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
            try:
                async with asyncio.timeout(self._every_s):
                    await self._soon.wait()
            except TimeoutError:
                pass
            self._soon.clear()
            try:
                await self._look()
                self._blind_s = 0.0
            except Unavailable as error:
                self._look_away(error.code)

    async def _look(self) -> None:
        watched, now = tuple(self._watched), self._services.clock()
        keys = await self._services.storage.apps.list_ended(
            {w.caller.key for w in watched if w.caller.person is None}
        )
        epochs = await self._services.storage.people.epochs(
            {w.caller.person for w in watched if w.caller.person is not None}
        )
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
