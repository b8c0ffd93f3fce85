"""Routes of the server as a whole: health, readiness, metrics and numbers of people, and what it obeys."""

from __future__ import annotations

from aiohttp import web
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from assistant.server.http.guard import SERVICES
from assistant.server.http.metrics import METRICS
from assistant.server.http.route import Route, enter_operations, respond
from assistant.store.aggregates import ROUNDED, TOO_FEW

GPC_SINCE = "2026-11-22"
"""When Global Privacy Control began to be obeyed."""


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


async def get_aggregates(request: web.Request) -> web.Response:
    """How many people allow what, in numbers that tell of nobody."""
    services, app = await enter_operations(request)
    return respond(
        {
            "apps": await services.storage.aggregates.count_by_app(None if app is None else app.id),
            "note": f"Numbers of {TOO_FEW} people or fewer are null, and so are those whose rest is so few. "
            f"The others are rounded to {ROUNDED}, to tell less of who came between two answers.",
        }
    )


async def get_gpc(request: web.Request) -> web.Response:
    """Global Privacy Control is obeyed."""
    return respond({"gpc": True, "lastUpdate": GPC_SINCE})


ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", healthz, open=True),
    Route("GET", "/readyz", readyz, open=True),
    Route("GET", "/metrics", get_metrics, scope="operate"),
    Route("GET", "/v1/operations/aggregates", get_aggregates, scope="operate"),
    Route("GET", "/.well-known/gpc.json", get_gpc, open=True),
)
