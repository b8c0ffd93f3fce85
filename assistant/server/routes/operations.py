"""Routes that tell how the server is."""

from __future__ import annotations

from aiohttp import web

from assistant.server.http.guard import SERVICES
from assistant.server.http.metrics import METRICS
from assistant.server.http.route import Route, respond
from assistant.server.live.streams import STREAMS
from assistant.server.live.twilio import WAITING


async def healthz(request: web.Request) -> web.Response:
    """The process lives."""
    return respond({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """What works, by part."""
    return respond({"status": "ready", "parts": request.app[SERVICES].health()})


async def get_metrics(request: web.Request) -> web.Response:
    """Counts and times, as Prometheus reads them."""
    open_now, calls = len(request.app[STREAMS].open), len(request.app[WAITING].open)
    text = request.app[METRICS].text(streams_open=open_now, calls_waiting=calls)
    return web.Response(text=text, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", healthz, "The process lives", open=True),
    Route("GET", "/readyz", readyz, "The parts that work", open=True),
    Route("GET", "/metrics", get_metrics, "Counts and times, as Prometheus reads them", scope="operate"),
)
