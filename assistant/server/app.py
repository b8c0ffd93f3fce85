"""The aiohttp application and how it is served."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from itertools import product

from aiohttp import WSCloseCode, web

from assistant.config import Settings
from assistant.errors import ConfigInvalid
from assistant.server.docs.asyncapi import describe_events
from assistant.server.docs.openapi import describe
from assistant.server.http.connection import listen
from assistant.server.http.cors import Origins, cors, tell_origin
from assistant.server.http.guard import SERVICES, close_unreadable, guard
from assistant.server.http.metrics import METRICS, Metrics, measured
from assistant.server.http.oidc import OPERATORS, Operators
from assistant.server.http.openai import tell_unknown_routes
from assistant.server.http.rate_limit import RATE_LIMITS, RateLimits
from assistant.server.http.route import Route, admitted, respond
from assistant.server.live.call_feed import CALL_FEEDS, CallFeeds, calls
from assistant.server.live.calls import WAITING, twilio
from assistant.server.live.realtime import realtime
from assistant.server.live.streams import STREAMS, WATCH, Streams, Watch
from assistant.server.routes import (
    apps,
    chat,
    client_secrets,
    consents,
    context,
    devices,
    explain,
    models,
    mood,
    operations,
    people,
    recommendations,
    reports,
    responses,
    rights,
    tone_policy,
    transcriptions,
)
from assistant.services import Services, open_services

log = logging.getLogger(__name__)

_GRACE_S = 5.0
_RESOURCES = (
    operations, people, devices, context, apps, consents, mood, rights, chat, responses, models, recommendations,
    reports, explain, tone_policy, transcriptions, client_secrets,
)  # fmt: skip

ROUTES: web.AppKey[tuple[Route, ...]] = web.AppKey("routes", tuple)
"""Every route there is: nothing is served that isn't one of these."""


def make_app(services: Services) -> web.Application:
    """The application over opened services."""
    settings = services.settings
    origins = Origins.of(settings.cors_origins)
    app = web.Application(
        middlewares=[measured, cors(origins), guard, tell_unknown_routes], client_max_size=settings.max_body_bytes
    )
    app.on_response_prepare.extend([tell_origin(origins), close_unreadable])
    app[SERVICES] = services
    app[STREAMS], app[WAITING] = Streams(), Streams()
    app[transcriptions.RECORDINGS] = transcriptions.Recordings()
    app[METRICS] = metrics = Metrics(
        services.batchers, {} if services.upstream is None else services.upstream.outcomes
    )
    app[RATE_LIMITS] = RateLimits(settings.rate_app, settings.rate_person, services.clock)
    app[OPERATORS] = Operators(settings.oidc_issuer, settings.oidc_audience, services.clock)
    app[WATCH] = Watch(services)
    app[CALL_FEEDS] = CallFeeds(services)

    async def openapi(request: web.Request) -> web.Response:
        """This description."""
        return respond(document())

    async def asyncapi(request: web.Request) -> web.Response:
        """The description of the WebSockets."""
        return respond(events())

    routes: tuple[Route, ...] = (
        *(route for resource in _RESOURCES for route in resource.ROUTES),
        Route("GET", "/v1/realtime", realtime, scope="infer", socket=True, personal=True),
        Route("GET", "/v1/twilio", twilio, open=True, socket=True),
        Route("GET", "/v1/calls", calls, scope="infer", socket=True, personal=True),
        Route("GET", "/openapi.json", openapi, open=True),
        Route("GET", "/asyncapi.json", asyncapi, open=True),
    )
    app[ROUTES] = routes
    events = cache(describe_events)  # made when somebody asks: it takes longer than the rest of a start
    document = cache(lambda: describe(routes))
    for route in routes:
        methods = ("GET", "HEAD") if route.method == "GET" and not route.socket else (route.method,)
        for method, pattern in product(methods, route.patterns):
            app.router.add_route(method, pattern, admitted(route))
    metrics.add_gauge("streams_open", "Live WebSocket streams", lambda: len(app[STREAMS].open))
    metrics.add_gauge("calls_waiting", "Calls whose first event has not come yet", lambda: len(app[WAITING].open))
    app.on_shutdown.append(_close_streams)
    app.on_cleanup.append(_let_go)
    return app


async def _let_go(app: web.Application) -> None:
    app[CALL_FEEDS].stop()
    await app[WATCH].close()
    await app[OPERATORS].close()


async def _close_streams(app: web.Application) -> None:
    sockets = [*app[STREAMS].open, *app[WAITING].open]
    await asyncio.gather(*(s.close(code=WSCloseCode.GOING_AWAY, message=b"shutdown") for s in sockets))


async def serve(settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `started` gets the address once requests are answered."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_services(settings) as services, running(services) as address:
        started(address)
        for name in await services.storage.catalogues.missing():
            advice = f"PUT /v1/catalogue, or try `assistant catalogue load --starter --app {name}`"
            log.info("the app %s has no catalogue, so nothing is recommended: %s", name, advice)
        await stop.wait()
        log.info("stopping")


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[str]:
    """Listen, yield the address, and stop when the caller is done with it. Raises `ConfigInvalid`."""
    settings = services.settings
    runner = web.AppRunner(make_app(services), access_log=None, shutdown_timeout=_GRACE_S)
    await runner.setup()
    try:
        assert runner.server is not None
        try:
            listening = await listen(runner.server, settings.host, settings.port)
        except OSError as error:
            raise ConfigInvalid(
                f"can't listen on {settings.host}:{settings.port}: {error.strerror}; set another host or port",
                code="address_unavailable",
            ) from error
        try:
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            yield f"http://{host}:{listening.sockets[0].getsockname()[1]}"
        finally:
            listening.close()
    finally:
        await runner.cleanup()
