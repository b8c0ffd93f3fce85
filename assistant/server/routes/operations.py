"""Routes for operators: health, readiness and metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from assistant.server.http.guard import SERVICES
from assistant.server.http.metrics import METRICS
from assistant.server.http.route import Route, respond


async def healthz(request: web.Request) -> web.Response:
    """Whether the process lives."""
    return respond({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Which parts work. The status is 503 while nothing can be stored."""
    services = request.app[SERVICES]
    stored = await services.storage.database.can_write()
    answer = {"status": "ready" if stored else "unavailable", "parts": services.health()}
    return respond(answer, 200 if stored else 503)


async def get_metrics(request: web.Request) -> web.Response:
    """Counts and times in Prometheus's text format."""
    return web.Response(text=request.app[METRICS].text(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", healthz, open=True),
    Route("GET", "/readyz", readyz, open=True),
    Route("GET", "/metrics", get_metrics, scope="operate"),
)
