"""The WebSockets that are open now, and how many there may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiohttp import web

from assistant.config import Settings
from assistant.errors import Busy
from assistant.profile.person import App
from assistant.server.http.caller import KEY_PROTOCOL, protocols_of

HEARTBEAT_S = 20.0
"""Between two questions whether a client is still there."""


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
