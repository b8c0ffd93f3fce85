"""Routes that tell how the server is."""

from __future__ import annotations

from aiohttp import web

from assistant.server.guard import SERVICES
from assistant.server.route import Route, respond


async def healthz(request: web.Request) -> web.Response:
    """The process lives."""
    return respond({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """What works, by part."""
    return respond({"status": "ready", "parts": request.app[SERVICES].health()})


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", healthz, "The process lives", open=True),
    Route("GET", "/readyz", readyz, "The parts that work", open=True),
)
