"""`/v1/realtime`: the OpenAI Realtime transcription dialect, binary PCM16 frames, and our additive events.

One task reads the socket in order, so TCP pushes back when we are slow or the client doesn't read; one writes, and
one watches the time. Nothing a client sends ends the stream except closing it: what can't be understood gets an
`error` event. Something written, or unknown, is answered after the audio before it; audio and consent never wait.
"""

from __future__ import annotations

import asyncio
import socket as sockets
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
from aiohttp import WSMsgType, web

from assistant.audio.intake import AudioFormat, Intake
from assistant.audio.pcm import Samples
from assistant.consent.receipt import ENDINGS
from assistant.conversation.live.events import ConsentChanged, Event
from assistant.conversation.live.stream import Stream
from assistant.conversation.session import Conversation
from assistant.errors import AssistantError, Invalid, TooLarge
from assistant.server.contract import events
from assistant.server.contract.session import Append, ConsentUpdate, ItemCreate, TranscriptionSession
from assistant.server.http.caller import ME, Caller, owner_of
from assistant.server.http.guard import decoded, log_unexpected
from assistant.server.http.metrics import METRICS
from assistant.server.http.route import enter, gpc_of, noted
from assistant.server.live.dialect import SessionOptions, UpdateReader, show_session
from assistant.server.live.outbox import Ended, Full, Outbox
from assistant.server.live.streams import HEARTBEAT_S, STREAMS, WATCH, subprotocol
from assistant.services import Services

SUBPROTOCOL = "realtime"
MAX_FRAME = 64 * 1024
"""Bytes of a binary frame (two seconds of audio at 16 kHz), and of any event but `append`."""
_ENVELOPE = 1024
"""Bytes of an `append` besides its audio."""
_SEND_BUFFER = 64 * 1024
"""Bytes that the kernel holds for a client that doesn't read."""
_CLOSING_S = 5.0
"""How long a client may take to answer that the stream is closed."""

_encode = msgspec.json.Encoder()


class _Head(msgspec.Struct):
    """What every event has."""

    type: Any = None
    event_id: Any = None


async def realtime(request: web.Request) -> web.StreamResponse:
    """Open a stream for the person named by `?person=`, or whose device is named by `?device=`."""
    services, caller = await enter(request)
    if "device" in request.query and "person" not in request.query and caller.holder is None:
        person = await owner_of(services, caller, request.query["device"])
    else:
        named = request.query.get("person", ME if caller.holder else "")
        if not named:
            raise Invalid("name the person: `/v1/realtime?person=ID`", code="person_missing")
        person = await caller.named(services, named)
    socket = web.WebSocketResponse(
        protocols=subprotocol(request, SUBPROTOCOL),
        heartbeat=HEARTBEAT_S,
        compress=False,
        max_msg_size=services.settings.max_append_bytes + _ENVELOPE,
        timeout=_CLOSING_S,
    )
    with request.app[STREAMS].admitted(caller.app, socket, services.settings):
        if not socket.can_prepare(request).ok:
            raise Invalid("this path speaks WebSocket", code="websocket_expected")
        await socket.prepare(request)
        transport = request.transport
        raw = None if transport is None else transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, _SEND_BUFFER)
        noted(request, services, caller, person.pseudonym)
        conversation = services.conversation(caller.app, person, who=caller.key, gpc=gpc_of(request))
        session = _Connection(services, caller, conversation, socket, transport)
        with request.app[WATCH].over(caller, session.end), request.app[METRICS].shedding(session.shed):
            await session.run()
    return socket


class _Connection:
    """One connection."""

    def __init__(
        self,
        services: Services,
        caller: Caller,
        conversation: Conversation,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport | None,
    ) -> None:
        self._services = services
        self._caller = caller
        self._conversation = conversation
        self._socket = socket
        self._transport = transport
        self._outbox = Outbox()
        self._id = services.new_id()
        self._options = SessionOptions()
        self._beta = False
        self._intake: Intake | None = Intake(AudioFormat())
        self._refusal_told = False
        self._ignored: list[str] = []
        self._stream = Stream(conversation, self._emit, self._options.rules)
        self._now = asyncio.get_running_loop().time
        self._began = self._heard = self._now()
        self._expires_at = round(services.clock() + services.settings.stream_longest_s)

    async def run(self) -> None:
        writer, watch = asyncio.create_task(self._write()), asyncio.create_task(self._watch())
        try:
            if self._caller.session is not None:
                await self._update({"session": self._caller.session}, None)
            self._send(events.SessionCreated(session=await self._describe()))
            self._disclose(again=True)
            await self._stream.check_consent()
            await self._read()
        finally:
            await self._stream.close()
            watch.cancel()
            if not self._outbox.ended:
                writer.cancel()
            await asyncio.gather(writer, watch, return_exceptions=True)
            await self._socket.close()

    def _disclose(self, *, again: bool = False) -> None:
        """Say, at the beginning and every three hours, that this is a machine."""
        text = self._conversation.disclosure(again=again)
        if text is not None:
            self._send(events.PolicyDisclosure(text=text))

    def end(self, code: str) -> None:
        """Whoever opened this may not any more, or the person is erased: say so, and nothing else."""
        self._outbox.drop_affect()
        about = "this stream may not go on: its key or token ended, or its person was erased"
        self._send(events.error_event(code, about))
        self._outbox.end()

    def shed(self) -> int:
        """Interim updates that were left out so far: newer ones came first."""
        return self._outbox.shed + self._stream.shed

    async def _read(self) -> None:
        while True:
            message = await self._socket.receive()
            self._heard = self._now()
            await self._outbox.room()
            self._disclose()
            if message.type is WSMsgType.BINARY:
                await self._handle_frame(message.data)
            elif message.type is WSMsgType.TEXT:
                await self._handle_event(message.data)
            else:
                return

    async def _handle_frame(self, data: bytes) -> None:
        try:
            if len(data) > MAX_FRAME:
                raise TooLarge(f"a binary frame may have at most {MAX_FRAME} bytes", code="frame_too_large")
            await self._stream.hear(self._decode(data))
        except Exception as error:
            self._send_error(error)

    async def _handle_event(self, data: str) -> None:
        head = _Head()
        try:
            head = decoded(data, _Head)
            if head.type == "input_audio_buffer.append":
                await self._stream.hear(self._decode(_audio(data)))
            elif len(data) > MAX_FRAME:
                raise TooLarge(f"an event may have at most {MAX_FRAME} bytes", code="event_too_large")
            else:
                await self._handle(head.type, data, head.event_id)
        except Exception as error:
            self._send_error(error, head.event_id)

    async def _handle(self, kind: Any, data: str, about: Any) -> None:
        match kind:
            case "input_audio_buffer.commit":
                await self._flush()
                await self._stream.commit()
            case "input_audio_buffer.clear":
                if self._intake is not None:
                    self._intake.flush()
                self._stream.clear()
                self._send(events.BufferCleared())
            case "session.update" | "transcription_session.update":
                await self._update(decoded(data, dict[str, Any]), about)
                self._beta = self._beta or kind.startswith("transcription")
                updated = events.TranscriptionSessionUpdated if self._beta else events.SessionUpdated
                self._send(updated(session=await self._describe()))
            case "conversation.item.create":
                item = decoded(data, ItemCreate).item
                if any(part.audio is not None for part in item.content):
                    about_audio = "audio of an item is not read; send it with `input_audio_buffer.append`"
                    raise Invalid(about_audio, code="unsupported_content")
                name = item.id or self._services.new_id()
                if item.role == "user":
                    await self._stream.read(name, item.words)
                else:
                    await self._stream.add(name, item.words, item.role)
            case "consent.update":
                await self._consent(decoded(data, ConsentUpdate))
            case str():
                await self._stream.wait_for_answers()
                raise Invalid("an unknown event was ignored", code="unknown_event")
            case _:
                raise Invalid("an event needs a `type`", code="invalid_event")

    async def _consent(self, update: ConsentUpdate) -> None:
        actor = self._caller.actor("stream")
        if update.acknowledge:
            await self._stream.acknowledge(update.notice, actor)
            self._send(events.ConsentUpdated(acknowledged=update.notice))
            return
        if update.modality is None or update.purpose is None or update.granted is None:
            raise Invalid("give `acknowledge`, or `modality`, `purpose` and `granted`")
        await self._conversation.decide(
            update.modality, update.purpose, granted=update.granted, notice=update.notice, actor=actor
        )
        await self._stream.check_consent()

    async def _update(self, update: dict[str, Any], about: Any) -> None:
        """Set what can be understood, then say what could not, member by member."""
        reader = UpdateReader(self._options, self._services.conversations.dictation)
        old, new = self._options, reader.read(update)
        self._ignored = reader.ignored
        self._stream.transcribe(new.transcription)
        self._options = new
        if new.format != old.format:
            await self._set_format(new.format)
        if new.turns != old.turns:
            self._stream.segment(new.rules)
        for fault in reader.faults:
            self._send_error(fault, about)

    async def _set_format(self, form: AudioFormat | None) -> None:
        await self._flush()
        self._refusal_told = False
        # one for WebM has to load a decoder
        self._intake = None if form is None else await asyncio.to_thread(Intake, form)

    async def _flush(self) -> None:
        if self._intake is not None:
            await self._stream.hear(self._intake.flush())

    def _decode(self, data: bytes) -> Samples:
        """Samples; none until a format is agreed on, as no rate is guessed, which is said once.

        Raises `Invalid`: `unsupported_audio_format`, `audio_container` or `audio_unreadable`.
        """
        if self._intake is None:
            if self._refusal_told:
                return np.zeros(0, dtype=np.float32)
            self._refusal_told = True
            about = "audio is dropped until a `session.update` names a format that is known"
            raise Invalid(about, code="unsupported_audio_format")
        try:
            return self._intake.decode(data)
        except Invalid as error:
            if error.code == "audio_container":
                self._intake, self._options = None, replace(self._options, format=None)
                self._refusal_told = True
            raise

    async def _describe(self) -> TranscriptionSession:
        grants = await self._services.storage.ledger.grants(self._conversation.readings.subject)
        return show_session(
            self._id, self._expires_at, self._options, self._ignored, grants, words=self._stream.transcribes
        )

    def _emit(self, event: Event) -> None:
        if isinstance(event, ConsentChanged) and event.record.event in ENDINGS:
            self._outbox.drop_affect()
            if event.record.event == "erased":
                self.end("person_unknown")
        for shown in events.events_of(event, self._caller.app.name, beta=self._beta):
            self._send(shown)

    def _send(self, event: events.ServerEvent) -> None:
        event.event_id = self._services.new_id()
        self._outbox.put(event)
        if self._outbox.overflowed:
            self._drop()

    def _send_error(self, error: Exception, about: Any = None) -> None:
        if isinstance(error, AssistantError):
            self._send(events.error_event(error.code, error.message, about))
        else:
            log_unexpected(error)
            self._send(events.error_event(*events.INTERNAL, about))

    async def _write(self) -> None:
        limit_s = self._services.settings.stream_write_s
        try:
            while True:
                event = await self._outbox.get()
                async with asyncio.timeout(limit_s):
                    await self._socket.send_str(_encode.encode(event).decode())
        except Ended:
            await self._socket.close()
        except (Full, TimeoutError):  # nor would it read why it is dropped
            self._drop()
        except ConnectionError:
            pass
        finally:
            self._outbox.end()  # whoever waits for room in it waits no more

    async def _watch(self) -> None:
        """Close the stream when nothing comes any more, or when it has lasted long enough, and say so."""
        settings = self._services.settings
        ends = self._began + settings.stream_longest_s
        while True:
            now, until = self._now(), min(ends, self._heard + settings.stream_idle_s)
            if now >= until:
                break
            await asyncio.sleep(until - now)
        code = "session_expired" if now >= ends else "idle_timeout"
        about = "the longest time of a stream is over" if now >= ends else "nothing was sent for too long"
        self._send(events.error_event(code, f"{about}; open a new one"))
        self._outbox.end()

    def _drop(self) -> None:
        """Let go of a client that doesn't read: the connection ends, and with it the reading task."""
        if self._transport is not None:
            self._transport.abort()


def _audio(data: str) -> bytes:
    try:
        return decoded(data, Append).audio
    except Invalid as error:
        if "base64" in error.message:
            raise Invalid("`audio` is not base64", code="invalid_base64") from None
        raise
