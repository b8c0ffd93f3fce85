"""A connection: bytes that may not be HTTP at all, and an answer in parts for as long as somebody listens."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from assistant.server.http.guard import problem

log = logging.getLogger(__name__)

_LOOK_S = 0.1
"""How often it is looked whether the client is still there: the HTTP server doesn't tell."""
_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}


class Connection(web.RequestHandler):
    """Differs from aiohttp's own only in that, which would send back and log the line that it can't read."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what never became a request."""
        log.info("a request could not be read (%s)", type(exc).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun already")
        if status >= 500:
            answer = problem(status, "internal", "something went wrong here; it was logged")
        else:
            answer = problem(status, "invalid_http", "this is not HTTP as it should be")
        answer.force_close()
        return answer


async def listen(server: web.Server, host: str, port: int) -> asyncio.Server:
    """Take connections. Raises `OSError`."""
    loop = asyncio.get_running_loop()

    def connection() -> Connection:
        return Connection(server, loop=loop, access_log=None)  # type: ignore[arg-type]  # paths name people

    return await loop.create_server(connection, host, port, backlog=128)


async def begin_events(request: web.Request) -> web.StreamResponse:
    """An answer of events, of which the head is sent."""
    response = web.StreamResponse(headers=_HEADERS)
    await response.prepare(request)
    return response


@asynccontextmanager
async def while_connected(request: web.Request) -> AsyncIterator[None]:
    """Cancel what happens inside when the client goes away. Nobody is left to be told, so nothing is raised."""
    try:
        async with asyncio.timeout(None) as scope:
            watch = _Watch(request, scope)
            try:
                yield
            finally:
                watch.end()
    except (TimeoutError, ConnectionError):
        if not gone(request):
            raise


def gone(request: web.Request) -> bool:
    """Whether the client went away."""
    return request.transport is None or request.transport.is_closing()


class _Watch:
    """Looks from time to time, without a task, and ends a scope when the client is gone."""

    def __init__(self, request: web.Request, scope: asyncio.Timeout) -> None:
        self._request = request
        self._scope = scope
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(_LOOK_S, self._look)

    def end(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _look(self) -> None:
        if gone(self._request):
            self._scope.reschedule(self._loop.time())
        else:
            self._timer = self._loop.call_later(_LOOK_S, self._look)
