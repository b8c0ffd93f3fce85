"""`/v1/realtime`: the OpenAI Realtime transcription dialect, binary PCM16 frames, and our additive events.

One task reads the socket in order, so TCP pushes back when we are slow; one task writes. Nothing a client sends
ends the stream except closing it: what can't be understood gets an `error` event.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from assistant.audio.segment import SegmentRules
from assistant.consent.receipt import Actor
from assistant.conversation.events import ConsentChanged, Event
from assistant.conversation.session import Conversation
from assistant.conversation.stream import Stream
from assistant.errors import AssistantError, Busy, Invalid, TooLarge
from assistant.profile.person import App
from assistant.server.guard import SERVICES, app_of, converted, decoded, log_unexpected, person_of
from assistant.server.outbox import Full, Outbox
from assistant.server.wire import (
    PROTOCOL_VERSION,
    Append,
    ConsentUpdate,
    ItemCreate,
    SessionSettings,
    SessionUpdate,
    event_json,
)
from assistant.services import Services

MAX_FRAME = 64 * 1024
"""Bytes of a binary frame (two seconds of audio)."""
_HEARTBEAT_S = 20.0


@dataclass(frozen=True, slots=True)
class Streams:
    """The sockets that are open now."""

    open: set[web.WebSocketResponse] = field(default_factory=set)


STREAMS: web.AppKey[Streams] = web.AppKey("streams", Streams)


async def realtime(request: web.Request) -> web.StreamResponse:
    """Open a stream for the person named by `?person=`."""
    services = request.app[SERVICES]
    app = await app_of(request)
    person = await person_of(request, app, request.query.get("person", ""))
    live = request.app[STREAMS].open
    if len(live) >= services.settings.max_streams:
        raise Busy("too many streams are open; try again soon", code="too_many_streams")
    socket = web.WebSocketResponse(
        heartbeat=_HEARTBEAT_S, compress=False, max_msg_size=services.settings.max_body_bytes + 1024
    )
    if not socket.can_prepare(request).ok:
        raise Invalid("this path speaks WebSocket", code="websocket_expected")
    await socket.prepare(request)
    live.add(socket)
    session = _Session(services, app, services.conversation(app, person), socket)
    try:
        await session.run()
    finally:
        live.discard(socket)
    return socket


class _Session:
    """One connection."""

    def __init__(
        self, services: Services, app: App, conversation: Conversation, socket: web.WebSocketResponse
    ) -> None:
        self._services = services
        self._app = app
        self._conversation = conversation
        self._socket = socket
        self._outbox = Outbox()
        self._id = services.new_id()
        self._settings = SessionSettings()
        self._stream = Stream(conversation, self._emit)

    async def run(self) -> None:
        writer = asyncio.create_task(self._write())
        try:
            self._send({"type": "session.created", "session": await self._describe()})
            await self._stream.consented()
            await self._read(writer)
        finally:
            await self._stream.close()
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            await self._socket.close()

    async def _read(self, writer: asyncio.Task[None]) -> None:
        while not self._socket.closed and not writer.done():
            try:
                message = await self._socket.receive(timeout=self._services.settings.stream_idle_s)
            except TimeoutError:
                await self._socket.close(message=b"idle_timeout")
                return
            if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
                return
            given: dict[str, Any] = {}
            try:
                if message.type is WSMsgType.BINARY:
                    if len(message.data) > MAX_FRAME:
                        raise TooLarge(f"a binary frame may have at most {MAX_FRAME} bytes", code="frame_too_large")
                    await self._stream.hear(message.data)
                else:
                    given = decoded(message.data, dict[str, Any])
                    await self._handle(given)
            except AssistantError as error:
                self._send_error(error.code, error.message, given.get("event_id"))
            except Exception as error:
                log_unexpected(error)
                self._send_error("internal", "something went wrong here; it was logged", given.get("event_id"))

    async def _handle(self, event: dict[str, Any]) -> None:
        match event.get("type"):
            case "input_audio_buffer.append":
                await self._stream.hear(_audio(converted(event, Append).audio))
            case "input_audio_buffer.commit":
                await self._stream.commit()
            case "input_audio_buffer.clear":
                self._stream.clear()
                self._send({"type": "input_audio_buffer.cleared"})
            case "session.update":
                self._update(converted(event, SessionUpdate).session)
                self._send({"type": "session.updated", "session": await self._describe()})
            case "conversation.item.create":
                item = converted(event, ItemCreate).item
                name = item.id or self._services.new_id()
                text = "\n".join(part.text for part in item.content if part.text)
                self._send({"type": "conversation.item.created", "item": {"id": name}})
                await self._stream.read(name, text)
            case "consent.update":
                await self._consent(converted(event, ConsentUpdate))
            case kind if isinstance(kind, str):
                raise Invalid("an unknown event was ignored", code="unknown_event")
            case _:
                raise Invalid("an event needs a `type`", code="invalid_event")

    async def _consent(self, update: ConsentUpdate) -> None:
        if update.acknowledge:
            await self._stream.acknowledge(update.notice)
            self._send({"type": "consent.updated", "acknowledged": update.notice})
            return
        if update.modality is None or update.purpose is None or update.granted is None:
            raise Invalid("give `acknowledge`, or `modality`, `purpose` and `granted`")
        await self._conversation.decide(
            update.modality,
            update.purpose,
            granted=update.granted,
            notice=update.notice,
            actor=Actor("app", "stream"),
        )
        await self._stream.consented()

    def _update(self, settings: SessionSettings) -> None:
        given = settings.audio.input.format
        old = settings.input_audio_format
        if given.type != "audio/pcm" or given.rate != 16_000 or old not in (None, "pcm16"):
            raise Invalid("audio must be PCM16 at 16000 Hz, mono", code="unsupported_audio_format")
        turns = settings.audio.input.turn_detection
        if turns is not None and turns.type != "server_vad":
            raise Invalid("turn_detection is `server_vad` or null", code="unsupported_turn_detection")
        self._settings = settings
        self._stream.clear()
        self._stream.segment(
            None if turns is None else SegmentRules(turns.threshold, silence_s=turns.silence_duration_ms / 1000)
        )

    async def _describe(self) -> dict[str, Any]:
        """The session; what it can do depends on the person's grants, never on what is installed."""
        grants = await self._services.ledger.grants(self._conversation.subject)
        audio = msgspec.to_builtins(self._settings.audio)
        return {
            "id": self._id,
            "object": "realtime.session",
            "type": "transcription",
            "protocol_version": PROTOCOL_VERSION,
            "audio": audio,
            "capabilities": {
                "transcription": False,
                "affect": {
                    modality: sorted(g.purpose for g in grants if g.modality == modality)
                    for modality in ("text", "voice")
                },
            },
        }

    def _emit(self, event: Event) -> None:
        if isinstance(event, ConsentChanged) and event.record.event == "withdrawn":
            self._outbox.drop_affect()
        for shown in event_json(event, self._app.name):
            self._send(shown)

    def _send(self, event: dict[str, Any]) -> None:
        self._outbox.put({"event_id": self._services.new_id(), **event})

    def _send_error(self, code: str, message: str, about: Any) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": about}
        self._send({"type": "error", "error": error})

    async def _write(self) -> None:
        with contextlib.suppress(ConnectionError):
            try:
                while True:
                    event = await self._outbox.get()
                    await self._socket.send_str(msgspec.json.encode(event).decode())
            except Full:
                await self._socket.close(code=1008, message=b"client_too_slow")


def _audio(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid("`audio` is not base64", code="invalid_base64") from None
