"""`/v1/twilio`: a phone call, as Twilio Media Streams sends it, or Telnyx, Plivo, Exotel or Vonage in their words.

Twilio drops query strings, so who speaks is said by `<Parameter>`, which comes with the `start` message. The others
may say it in the URL's query too, and the key as `Authorization: Bearer`. Names count without case, `_` and `-`:

    key              the app's API key, or a token of the person
    person           who is on the inbound track (the caller, where the call came in)
    notice           version of the notice that this person was told and agreed to go on with
    transcription    `on`: this person's words are told, and words of crisis noticed; `off` where it is not said
    language         of these words, such as `en-US`; found out where it is not said
    outbound_person, outbound_notice, outbound_transcription, outbound_language: the same for the outbound track

The tracks are kept apart: each is a stream of its own with its own person, and a track without a person is dropped
unread. So is, without transcription, every message of a track whose person grants nothing for the voice at that
moment, or was not told the notice: not even the presence of speech is looked for. A grant in the middle of the call
counts from there. Transcription is off where nobody asks for it: who is on the phone must be told of it.

Nothing is ever sent back: Twilio ends a one-way stream when it is sent anything, and in a two-way one what it takes
is played to the caller. What is heard is told to those who listen to `/v1/calls`, and the mood is where every other
stream puts it.

A message that is older than another of its track, or came before, is dropped: what was heard can't be unheard.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import WSCloseCode, WSMsgType, web

from assistant.consent.receipt import ENDINGS
from assistant.conversation.dictation import Transcription
from assistant.conversation.live.events import Affect, ConsentChanged, Event
from assistant.errors import PLAIN_NAME, AssistantError, Busy, Forbidden, Invalid, TooMany, Unauthenticated
from assistant.profile.person import Person
from assistant.server.contract import events
from assistant.server.contract.call_events import CallBegan, CallEnded, CallEvent, CallTrack
from assistant.server.http.caller import Caller, caller_of, protocols_of
from assistant.server.http.guard import SERVICES, header_of, log_unexpected
from assistant.server.http.rate_limit import RATE_LIMITS
from assistant.server.live.call_dialects import CallAudio, CallStarted, CallStopped, Service, read_message
from assistant.server.live.call_feed import CALL_FEEDS
from assistant.server.live.call_messages import Side
from assistant.server.live.streams import HEARTBEAT_S, STREAMS, WATCH, Streams, Watch
from assistant.server.live.track import Track
from assistant.server.live.twilio_signature import is_signed, signed_urls

log = logging.getLogger(__name__)

TRACKS: tuple[tuple[Side, str], ...] = (("inbound", ""), ("outbound", "outbound"))
"""Each track with how the names of its parameters begin."""
_OF_TRACK = ("person", "notice", "transcription", "language")
_KNOWN = frozenset({"key", *(start + name for _, start in TRACKS for name in _OF_TRACK)})
_ON, _OFF = ("on", "true", "yes", "1"), ("", "off", "false", "no", "0")

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
    _check_signature(request)
    waiting.add(socket)
    call = _Call(request, socket)
    reason = "internal"
    try:
        await socket.prepare(request)
        reason = await _conversed(call, request.app[STREAMS], request.app[WATCH], waiting)
        await socket.close(message=reason.encode())
    except AssistantError as error:
        reason = error.code if error.param is None else f"{error.code}: {error.param}"
        log.info("a call was not heard: %s", reason)
        later = isinstance(error, Busy | TooMany)
        code = WSCloseCode.TRY_AGAIN_LATER if later else WSCloseCode.POLICY_VIOLATION
        await socket.close(code=code, message=reason.encode())
    except Exception as error:
        log_unexpected(error)
        await socket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"internal")
    finally:
        waiting.discard(socket)
        await call.close(reason)
    return socket


def _check_signature(request: web.Request) -> None:
    """Raise `Forbidden` (`signature_invalid`) unless Twilio signed this, where the settings have its token."""
    settings = request.app[SERVICES].settings
    if not settings.twilio_auth_token:
        return
    # a proxy may pass on its own name: what it says of the public's counts too, and can't forge a signature
    hosts = (header_of(request, "Host"), header_of(request, "X-Forwarded-Host").split(",")[0].strip())
    bases = [settings.public_url] if settings.public_url else [f"https://{host}" for host in hosts if host]
    urls = [url for base in bases for url in signed_urls(base, request.raw_path)]
    if not is_signed(header_of(request, "X-Twilio-Signature"), urls, settings.twilio_auth_token):
        raise Forbidden("`X-Twilio-Signature` is not that of this URL", code="signature_invalid")


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
        call.tell_start()
        try:
            async with asyncio.timeout(settings.stream_longest_s):
                reason = await call.hear(settings.stream_idle_s)
        except TimeoutError:
            reason = "session_expired"
        await call.finish()
        return reason


class _Call:
    """One connection: a call, or a part of one."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.services = request.app[SERVICES]
        self.socket = socket
        self._request = request
        self._feeds = request.app[CALL_FEEDS]
        self._ending: asyncio.Task[bool] | None = None
        self._service: Service | None = None
        self._stream = ""
        self._name = ""
        self._began: CallBegan | None = None
        self._caller: Caller | None = None
        self._tracks: dict[Side, Track] = {}
        self._people: list[Person] = []
        self._faults: set[str] = set()
        """Codes of messages that were not understood: each is told once."""

    async def start(self) -> Caller | None:
        """Read up to `start`; None where the other side left before. Raises an `AssistantError`."""
        while (data := await self._next()) is not None:
            message = read_message(data)
            if isinstance(message, CallStarted):
                return await self._begin(message)
            if message is not None:
                raise Unauthenticated("`start` comes first", code="start_expected")
        return None

    def tell_start(self) -> None:
        """Tell the app that the call is heard."""
        if self._began is not None and self._caller is not None:
            self._feeds.tell(self._caller.app, self._people, self._began)

    def end(self, code: str) -> None:
        """The key or token of this call opens nothing any more: hang up."""
        log.info("a call is heard no more: %s", code)
        close = self.socket.close(code=WSCloseCode.POLICY_VIOLATION, message=code.encode())
        self._ending = asyncio.create_task(close)

    async def hear(self, idle_s: float) -> str:
        """Read until the call is over, or nothing came for `idle_s`. What can't be understood is told once."""
        while True:
            try:
                async with asyncio.timeout(idle_s):
                    data = await self._next()
            except TimeoutError:
                return "idle_timeout"
            if data is None:
                return ""
            try:
                message = read_message(data, self._service)
            except AssistantError as error:
                self._tell_fault(error)
                continue
            if isinstance(message, CallAudio | CallStopped) and message.stream in ("", self._stream):
                if isinstance(message, CallStopped):
                    return ""
                await self._take(message)

    async def finish(self) -> None:
        """What was said last is read too, unless the call may not be heard any more."""
        if self._ending is None:
            for track in self._tracks.values():
                await track.end()

    async def _take(self, message: CallAudio) -> None:
        for side, track in self._tracks.items():
            if side != message.side:
                await track.wait_until(message.at_ms)
            elif track.order.passes(message.number):
                await track.hear(message.payload, message.at_ms)

    async def close(self, reason: str) -> None:
        """Let go of everything."""
        for track in self._tracks.values():
            await track.close()
        if self._began is not None and self._caller is not None:
            self._feeds.tell(self._caller.app, self._people, CallEnded(call=self._name, reason=reason))
        if self._ending is not None:
            await self._ending

    async def _next(self) -> str | bytes | None:
        """The next message; None once the other side left."""
        received = await self.socket.receive()
        if received.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            return None
        data: str | bytes = received.data
        return data

    async def _begin(self, started: CallStarted) -> Caller:
        given = {**self._request.query, **started.parameters}
        known = {_squashed(name): value for name, value in given.items()}
        scheme, _, credential = header_of(self._request, "Authorization").partition(" ")
        key = known.get("key") or (credential.strip() if scheme.lower() == "bearer" else "")
        if not key:
            raise Unauthenticated("give your API key as the parameter `key`", code="key_missing")
        caller = self._caller = await caller_of(self.services, key)
        caller.require("infer")
        self._service, self._stream = started.service, started.stream
        self._name = started.call or started.stream or self.services.new_id()
        shown = [
            await self._open(side, caller, known, prefix, started)
            for side, prefix in TRACKS
            if known.get(f"{prefix}person")
        ]
        if not shown:
            raise Invalid("give the parameter `person` or `outbound_person`", code="person_missing")
        unknown = [name for name in given if _squashed(name) not in _KNOWN]
        self._began = CallBegan(
            call=self._name,
            service=started.service.name,
            format=started.format.type,
            rate=started.format.rate,
            tracks=shown,
            ignored=sorted(name for name in unknown if PLAIN_NAME.fullmatch(name)),
        )
        return caller

    async def _open(
        self, side: Side, caller: Caller, known: dict[str, str], prefix: str, started: CallStarted
    ) -> CallTrack:
        name, notice = known[f"{prefix}person"], known.get(f"{prefix}notice", "")
        self._request.app[RATE_LIMITS].take(caller, name)
        wanted = self._transcription(known, prefix)
        person = await caller.named(self.services, name)
        self.services.storage.access.note_access(person.pseudonym, caller.key, "GET /v1/twilio")
        conversation = self.services.conversation(caller.app, person, who=caller.key)

        def tell(event: Event) -> None:
            self._tell(side, person, event)

        track = self._tracks[side] = Track(conversation, started.format, tell, wanted)
        self._people.append(person)
        if notice:
            await track.acknowledge(notice)
        if wanted is not None and not track.transcribes:
            log.warning("a call asks for transcription, and there is none here")
        return CallTrack(
            track=side,
            person=person.id,
            acknowledged=track.acknowledged,
            transcription=track.transcribes,
            language=None if wanted is None else wanted.language,
        )

    def _transcription(self, known: dict[str, str], prefix: str) -> Transcription | None:
        said, language = known.get(f"{prefix}transcription", ""), known.get(f"{prefix}language", "")
        field = f"{prefix}_transcription" if prefix else "transcription"
        if said.strip().lower() in _OFF:
            return None
        if said.strip().lower() not in _ON:
            raise Invalid(f"`{field}` is `on` or `off`", param=field)
        dictation = self.services.conversations.dictation
        return Transcription(None if dictation is None else dictation.find_language(language))

    def _tell(self, side: Side, person: Person, event: Event) -> None:
        if self._caller is None or (isinstance(event, Affect) and not event.final):
            return  # estimates in the middle of an utterance are for who looks at it live
        app = self._caller.app
        if isinstance(event, ConsentChanged) and event.record.event in ENDINGS:
            self._feeds.drop_affect(app, person, all_else=event.record.event == "erased")
        for shown in events.events_of(event, app.name):
            told = CallEvent(call=self._name, person=person.id, track=side, event=shown)  # type: ignore[arg-type]
            self._feeds.tell(app, [person], told)

    def _tell_fault(self, error: AssistantError) -> None:
        log.debug("a message of a call was passed over: %s", error.code)
        if self._caller is not None and error.code not in self._faults:
            self._faults.add(error.code)
            fault = events.error_event(error.code, error.message)
            told = CallEvent(call=self._name, person=None, track=None, event=fault)
            self._feeds.tell(self._caller.app, self._people, told)


def _squashed(name: str) -> str:
    """A parameter's name as it is compared: some services take no `_`, some write `X-PH-` before it.

    >>> _squashed("outbound_person"), _squashed("outboundPerson"), _squashed("Person")
    ('outboundperson', 'outboundperson', 'person')
    """
    return name.replace("_", "").replace("-", "").lower()
