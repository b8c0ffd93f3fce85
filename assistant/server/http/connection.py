"""A connection whose bytes may not be HTTP at all: what is answered and logged then quotes none of them."""

from __future__ import annotations

import asyncio
import logging

from aiohttp import web

from assistant.server.http.guard import problem

log = logging.getLogger(__name__)


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
