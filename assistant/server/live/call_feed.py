"""`/v1/calls`: an app is told here what is heard in the phone calls of its people; the calls can't be told.

A feed tells of the calls that this process hears. Help in a crisis that nobody listened for is kept in memory for
an hour, for the first who does.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import WSMsgType, web

from assistant.consent.receipt import Record
from assistant.errors import Invalid
from assistant.profile.person import App, Person
from assistant.server.contract import events
from assistant.server.contract.call_events import CallEvent, CallsOpened
from assistant.server.http.caller import ME
from assistant.server.http.route import enter, noted
from assistant.server.live.outbox import Ended, Full, Outbox
from assistant.server.live.streams import HEARTBEAT_S, STREAMS, WATCH, subprotocol
from assistant.services import Services

log = logging.getLogger(__name__)

SUBPROTOCOL = "calls"
_KEPT_S = 3600.0
_KEPT = 256
"""Ways to help of one app that nobody heard."""
_MAX_MESSAGE = 4096
"""Bytes. Nothing that a client sends means anything here."""

_encode = msgspec.json.Encoder()


@dataclass(slots=True, eq=False)
class Feed:
    """One socket of an app."""

    person: str | None
    """Whose calls it wants, by pseudonym; None: those of all."""
    outbox: Outbox = field(default_factory=Outbox)

    def end(self, code: str) -> None:
        """Its key or token opens nothing any more: say so, and nothing else."""
        self.outbox.put(events.error_event(code, "this feed may not go on: its key or token ended"))
        self.outbox.end()


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float
    """By the clock of the loop."""
    person: str
    """Pseudonym."""
    event: CallEvent


class CallFeeds:
    """The feeds of all apps."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._feeds: dict[str, set[Feed]] = {}
        self._kept: dict[str, deque[_Kept]] = {}
        self.stop = services.storage.ledger.listen(None, self._apply)

    def tell(self, app: App, people: list[Person], event: events.ServerEvent) -> None:
        """Tell those who listen for one of these people; never blocks."""
        event.event_id = self._services.new_id()
        whose = {person.pseudonym for person in people}
        listening = [feed for feed in self._feeds.get(app.id, ()) if feed.person is None or feed.person in whose]
        for feed in listening:
            feed.outbox.put(event)
        if not listening and isinstance(event, CallEvent) and isinstance(event.event, events.PolicySafety):
            log.warning("words of crisis in a call, and nobody listens to /v1/calls of the app %s", app.name)
            kept = _Kept(asyncio.get_running_loop().time(), people[0].pseudonym, event)
            self._kept.setdefault(app.id, deque(maxlen=_KEPT)).append(kept)

    def drop_affect(self, app: App, person: Person, *, all_else: bool) -> None:
        """Unsay the estimates of a person that were not sent yet, or all that was said of them."""

        def unsaid(event: events.ServerEvent) -> bool:
            if not isinstance(event, CallEvent) or event.person != person.id:
                return False
            return all_else or isinstance(event.event, events.AffectResult)

        for feed in self._feeds.get(app.id, ()):
            feed.outbox.drop(unsaid)

    @contextmanager
    def following(self, app: App, feed: Feed) -> Iterator[None]:
        """Tell this feed what happens from now on, after the help that nobody heard."""
        since = asyncio.get_running_loop().time() - _KEPT_S
        kept = [each for each in self._kept.pop(app.id, ()) if each.at >= since]
        others = [each for each in kept if feed.person not in (None, each.person)]
        if others:
            self._kept[app.id] = deque(others, maxlen=_KEPT)
        feeds = self._feeds.setdefault(app.id, set())
        feeds.add(feed)
        for each in kept:
            if each not in others:
                feed.outbox.put(each.event)
        try:
            yield
        finally:
            feeds.discard(feed)
            if not feeds and self._feeds.get(app.id) is feeds:
                del self._feeds[app.id]

    def _apply(self, record: Record) -> None:
        """Of whom is erased, nothing is kept."""
        if record.event == "erased":
            for app, kept in tuple(self._kept.items()):
                self._kept[app] = deque((each for each in kept if each.person != record.person), maxlen=_KEPT)


CALL_FEEDS: web.AppKey[CallFeeds] = web.AppKey("call_feeds", CallFeeds)


async def calls(request: web.Request) -> web.StreamResponse:
    """Tell what is heard in the calls of the app's people, or of the one whom `?person=` names."""
    services, caller = await enter(request)
    named = request.query.get("person", ME if caller.holder else "")
    person = await caller.named(services, named) if named else None
    socket = web.WebSocketResponse(
        protocols=subprotocol(request, SUBPROTOCOL),
        heartbeat=HEARTBEAT_S,
        compress=False,
        max_msg_size=_MAX_MESSAGE,
    )
    with request.app[STREAMS].admitted(caller.app, socket, services.settings):
        if not socket.can_prepare(request).ok:
            raise Invalid("this path speaks WebSocket", code="websocket_expected")
        await socket.prepare(request)
        if person is not None:
            noted(request, services, caller, person.pseudonym)
        feed = Feed(None if person is None else person.pseudonym)
        opened = CallsOpened(event_id=services.new_id(), person=None if person is None else person.id)
        feed.outbox.put(opened)
        with request.app[CALL_FEEDS].following(caller.app, feed), request.app[WATCH].over(caller, feed.end):
            writer = asyncio.create_task(_write(socket, feed, request.transport, services.settings.stream_write_s))
            try:
                await _read(socket, feed)
            finally:
                writer.cancel()
                await asyncio.gather(writer, return_exceptions=True)
    return socket


async def _read(socket: web.WebSocketResponse, feed: Feed) -> None:
    """Until the client leaves: what it sends is answered that it means nothing here."""
    async for message in socket:
        await feed.outbox.room()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            feed.outbox.put(events.error_event("unknown_event", "this socket only tells; nothing is read here"))


async def _write(
    socket: web.WebSocketResponse, feed: Feed, transport: asyncio.Transport | None, limit_s: float
) -> None:
    try:
        while True:
            event = await feed.outbox.get()
            async with asyncio.timeout(limit_s):
                await socket.send_str(_encode.encode(event).decode())
    except Ended:
        await socket.close()
    except (Full, TimeoutError):
        if transport is not None:
            transport.abort()
    except ConnectionError:
        pass
    finally:
        feed.outbox.end()
