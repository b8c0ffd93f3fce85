"""`/v1/twilio`: a phone call, as Twilio Media Streams sends it.

Twilio drops query strings, so who speaks is said by `<Parameter>`, which comes with the `start` message:

    key              the app's API key, or a token of the person
    person           who is on the inbound track (the caller, where the call came in)
    notice           version of the notice that this person was told and agreed to go on with
    outbound_person  who is on the outbound track, if anybody may be heard there
    outbound_notice  the same for them

The tracks are kept apart: each is a stream of its own with its own person, and a track without a person is dropped
unread. So is every message of a track whose person grants nothing for the voice at that moment, or was not told the
notice: not even the presence of speech is looked for. A grant in the middle of the call counts from there.

Nothing is ever sent back: Twilio ends a one-way stream when it is sent anything, and in a two-way one what it takes
is played to the caller. What a call says about the mood is where every other stream puts it: GET
`/v1/people/{person}/mood`, and in the answers to messages and rankings. No words are transcribed, as nobody could
be told them.

A message that is older than another of its track, or came before, is dropped: what was heard can't be unheard.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import WSCloseCode, WSMsgType, web

from assistant.errors import AssistantError, Busy, Invalid, TooMany, Unauthenticated
from assistant.server.http.caller import Caller, caller_of, protocols_of
from assistant.server.http.guard import SERVICES, decoded, log_unexpected
from assistant.server.http.rate_limit import RATE_LIMITS, RateLimits
from assistant.server.live import twilio_messages as messages
from assistant.server.live.streams import HEARTBEAT_S, STREAMS, WATCH, Streams, Watch
from assistant.server.live.track import Track
from assistant.services import Services

log = logging.getLogger(__name__)

TRACKS: tuple[tuple[messages.Side, str, str], ...] = (
    ("inbound", "person", "notice"),
    ("outbound", "outbound_person", "outbound_notice"),
)
"""Each track with the parameters that name its person and the notice they were told."""

_START_S = 10.0
"""A connection must say who it is within this time."""
_MAX_MESSAGE = 64 * 1024
"""Bytes. Twilio's own messages have a few hundred."""

WAITING: web.AppKey[Streams] = web.AppKey("twilio_waiting", Streams)
"""Connections that have not said yet who they are. They count by themselves, so that strangers take no room."""


async def twilio(request: web.Request) -> web.StreamResponse:
    """Hear a call."""
    services, waiting = request.app[SERVICES], request.app[WAITING].open
    if len(waiting) >= services.settings.max_streams:
        raise Busy("too many calls are beginning; try again soon", code="too_many_streams")
    offered = tuple(protocols_of(request)[:1])  # one that is offered is agreed on: else all would be logged
    socket = web.WebSocketResponse(
        protocols=offered, heartbeat=HEARTBEAT_S, compress=False, max_msg_size=_MAX_MESSAGE
    )
    if not socket.can_prepare(request).ok:
        raise Invalid("this path speaks WebSocket", code="websocket_expected")
    waiting.add(socket)
    call = _Call(services, request.app[RATE_LIMITS], socket)
    try:
        await socket.prepare(request)
        reason = await _conversed(call, request.app[STREAMS], request.app[WATCH], waiting)
        await socket.close(message=reason.encode())
    except AssistantError as error:
        log.info("a call was not heard: %s", error.code)
        later = isinstance(error, Busy | TooMany)
        code = WSCloseCode.TRY_AGAIN_LATER if later else WSCloseCode.POLICY_VIOLATION
        await socket.close(code=code, message=error.code.encode())
    except Exception as error:
        log_unexpected(error)
        await socket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"internal")
    finally:
        waiting.discard(socket)
        await call.close()
    return socket


async def _conversed(call: _Call, live: Streams, watch: Watch, waiting: set[web.WebSocketResponse]) -> str:
    """The whole call; gives why it ended, which is empty where the other side ended it."""
    settings = call.services.settings
    try:
        async with asyncio.timeout(min(_START_S, settings.stream_idle_s)):
            caller = await call.start()
    except TimeoutError:
        return "start_timeout"
    if caller is None:
        return ""
    with live.admitted(caller.app, call.socket, settings), watch.over(caller, call.end):
        waiting.discard(call.socket)
        try:
            async with asyncio.timeout(settings.stream_longest_s):
                return await call.hear(settings.stream_idle_s)
        except TimeoutError:
            return "session_expired"


class _Call:
    """One connection: a call, or a part of one."""

    def __init__(self, services: Services, rate_limits: RateLimits, socket: web.WebSocketResponse) -> None:
        self.services = services
        self.socket = socket
        self._rate_limits = rate_limits
        self._ending: asyncio.Task[bool] | None = None
        self._sid = ""
        self._tracks: dict[messages.Side, Track] = {}

    async def start(self) -> Caller | None:
        """Read up to `start`; None where the other side left before. Raises an `AssistantError`."""
        while (message := await self._next()) is not None:
            if isinstance(message, messages.Start):
                return await self._begin(message.start)
            if not isinstance(message, messages.Connected):
                raise Unauthenticated("`start` comes first", code="start_expected")
        return None

    def end(self, code: str) -> None:
        """The key or token of this call opens nothing any more: hang up."""
        log.info("a call is heard no more: %s", code)
        close = self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=code.encode())
        self._ending = asyncio.create_task(close)

    async def hear(self, idle_s: float) -> str:
        """Read until the call is over, or nothing came for `idle_s`. What can't be understood is passed over."""
        while True:
            try:
                async with asyncio.timeout(idle_s):
                    message = await self._next()
            except TimeoutError:
                return "idle_timeout"
            except AssistantError as error:
                log.debug("a message of a call was passed over: %s", error.code)
                continue
            if message is None:
                return ""
            if isinstance(message, messages.Media | messages.Stop) and message.stream_sid not in ("", self._sid):
                continue
            if isinstance(message, messages.Media):
                await self._take(message)
            elif isinstance(message, messages.Stop):
                for track in self._tracks.values():
                    await track.end()
                return ""

    async def _take(self, message: messages.Media) -> None:
        media, at = message.media, messages.whole_number(message.media.timestamp)
        for name, track in self._tracks.items():
            if name != media.track:
                await track.wait_until(at)
            elif track.order.passes(messages.whole_number(message.sequence_number)):
                await track.hear(media.payload, at)

    async def close(self) -> None:
        """Let go of everything."""
        for track in self._tracks.values():
            await track.close()
        if self._ending is not None:
            await self._ending

    async def _next(self) -> messages.Message | None:
        """The next message; None once the other side left. Raises `Invalid` for what is no message."""
        received = await self.socket.receive()
        if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return None
        message: messages.Message = decoded(received.data, messages.Message)  # type: ignore[arg-type]
        return message

    async def _begin(self, start: messages.StartDetails) -> Caller:
        given = start.custom_parameters
        form = start.media_format
        if (form.encoding, form.sample_rate, form.channels) != ("audio/x-mulaw", 8_000, 1):
            raise Invalid("a call comes as mu-law at 8000 Hz", code="unsupported_audio_format")
        if not given.get("key"):
            raise Unauthenticated("give your API key as the parameter `key`", code="key_missing")
        caller = await caller_of(self.services, given["key"])
        caller.require("infer")
        self._sid = start.stream_sid
        for name, person, notice in TRACKS:
            if given.get(person):
                self._rate_limits.take(caller, given[person])
                await self._open(name, caller, given[person], given.get(notice, ""))
        if not self._tracks:
            raise Invalid("give the parameter `person` or `outbound_person`", code="person_missing")
        return caller

    async def _open(self, side: messages.Side, caller: Caller, person: str, notice: str) -> None:
        known = await caller.named(self.services, person)
        self.services.storage.access.note_access(known.pseudonym, caller.key, "GET /v1/twilio")
        track = self._tracks[side] = Track(self.services.conversation(caller.app, known, who=caller.key))
        if notice:
            await track.acknowledge(notice)
