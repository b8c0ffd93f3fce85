"""The aiohttp application and how it is served."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import WSCloseCode, web

from assistant.config import Settings
from assistant.errors import ConfigInvalid
from assistant.server import consents, conversing, operations, people, recommending
from assistant.server.asyncapi import describe_events
from assistant.server.guard import SERVICES, guard
from assistant.server.openapi import describe
from assistant.server.realtime import realtime
from assistant.server.route import Route, respond
from assistant.server.streams import STREAMS, Streams
from assistant.server.twilio import add_twilio
from assistant.services import Services, open_services

log = logging.getLogger(__name__)

_GRACE_S = 5.0


def make_app(services: Services) -> web.Application:
    """The application over opened services."""
    app = web.Application(middlewares=[guard], client_max_size=services.settings.max_body_bytes)
    app[SERVICES] = services
    app[STREAMS] = Streams()

    async def openapi(request: web.Request) -> web.Response:
        return respond(document)

    async def asyncapi(request: web.Request) -> web.Response:
        return respond(events)

    routes = (
        *operations.ROUTES,
        *people.ROUTES,
        *consents.ROUTES,
        *conversing.ROUTES,
        *recommending.ROUTES,
        Route("GET", "/openapi.json", openapi, "This description", open=True),
        Route("GET", "/asyncapi.json", asyncapi, "The description of the WebSockets", open=True),
    )
    events = describe_events()
    document = describe(routes)
    for route in routes:
        app.router.add_route(route.method, route.path, route.handler)
    app.router.add_get("/v1/realtime", realtime)
    add_twilio(app)
    app.on_shutdown.append(_close_streams)
    return app


async def _close_streams(app: web.Application) -> None:
    sockets = list(app[STREAMS].open)
    await asyncio.gather(*(s.close(code=WSCloseCode.GOING_AWAY, message=b"shutdown") for s in sockets))


async def serve(settings: Settings, *, started: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `started` gets the address once requests are answered."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with open_services(settings) as services, running(services) as address:
        started(address)
        await stop.wait()
        log.info("stopping")


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[str]:
    """Listen, yield the address, and stop when the caller is done with it. Raises `ConfigInvalid`."""
    settings = services.settings
    runner = web.AppRunner(make_app(services), access_log=None, shutdown_timeout=_GRACE_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, settings.host, settings.port)
        try:
            await site.start()
        except OSError as error:
            raise ConfigInvalid(
                f"can't listen on {settings.host}:{settings.port}: {error.strerror}; set another host or port",
                code="address_unavailable",
            ) from error
        port = runner.addresses[0][1]
        yield f"http://{settings.host}:{port}"
    finally:
        await runner.cleanup()
