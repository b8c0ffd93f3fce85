"""The shapes on the wire: what clients send, and how our events look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from assistant.consent.policy import DISCLOSE_EVERY_S
from assistant.consent.receipt import DECISIONS, NOTICES, receipt
from assistant.conversation.limits import GPC, Limit
from assistant.conversation.live.events import (
    Affect,
    Committed,
    ConsentChanged,
    Event,
    Failed,
    NoticeDue,
    NotTranscribed,
    Replied,
    SpeechStarted,
    SpeechStopped,
    Transcribed,
    Words,
    Written,
)
from assistant.conversation.session import Answer
from assistant.emotion import STATEMENT, Abstention, Modality, Purpose
from assistant.errors import AssistantError
from assistant.tone.situation import Urgency

PROTOCOL_VERSION = "1"
MAX_TEXT = 20_000
"""Characters of a message."""
INTERNAL = ("internal", "something went wrong here; it was logged")
_TRANSCRIPTION = "conversation.item.input_audio_transcription"

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]


class ConsentBody(msgspec.Struct, forbid_unknown_fields=True):
    """A decision about one modality and one purpose. `notice` is the version that was shown; grants need it."""

    modality: Modality
    purpose: Purpose
    granted: bool
    notice: str = ""


class ContextBody(msgspec.Struct):
    """What the app knows of the moment; other members are ignored."""

    urgency: Urgency = "normal"


class MessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """Something a person wrote."""

    text: Text
    context: ContextBody = msgspec.field(default_factory=ContextBody)


class Append(msgspec.Struct):
    """`input_audio_buffer.append`."""

    audio: bytes
    """Base64 on the wire."""


class Content(msgspec.Struct):
    """A part of an item: `input_text`, or `input_audio` that the client transcribed itself."""

    type: str
    text: Text | None = None
    transcript: Text | None = None


class ItemBody(msgspec.Struct):
    """A conversation item; only its words are read."""

    content: list[Content]
    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None

    @property
    def words(self) -> str:
        """What was written or said."""
        return "\n".join(words for part in self.content if (words := part.text or part.transcript))


class ItemCreate(msgspec.Struct):
    """`conversation.item.create`."""

    item: ItemBody


class ConsentUpdate(msgspec.Struct):
    """`consent.update`: acknowledge the notice, or grant or withdraw like `POST .../consent`."""

    acknowledge: bool = False
    notice: str = ""
    modality: Modality | None = None
    purpose: Purpose | None = None
    granted: bool | None = None


def answer_json(answer: Answer) -> dict[str, Any]:
    """The answer to a message."""
    return {
        "mood": None if answer.mood is None else answer.mood.as_json(),
        "directive": answer.directive.as_json(),
        "recommendations": [r.as_json() for r in answer.recommendations],
        "decision": answer.decision,
        "safety": None if answer.safety is None else answer.safety.as_json(),
        "quiet_hours": answer.quiet_hours,
        **limits_json(answer.limits),
    }


def limits_json(held: Sequence[Limit]) -> dict[str, Any]:
    """What was not done, as the person asked."""
    return {"gpc": GPC in held, "limits": [{"code": limit.code, "says": limit.says} for limit in held]}


def event_json(event: Event, controller: str, *, beta: bool = False) -> list[dict[str, Any]]:
    """The events that one happening becomes, in their order; `beta` in the words of the older API."""
    match event:
        case SpeechStarted(item, at_ms):
            return [{"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": at_ms}]
        case SpeechStopped(item, at_ms):
            return [{"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": at_ms}]
        case Committed(item, previous):
            committed = {"type": "input_audio_buffer.committed", "item_id": item, "previous_item_id": previous}
            return [committed, *_item(item, previous, {"type": "input_audio", "transcript": None}, beta=beta)]
        case Written(item, previous, text):
            return _item(item, previous, {"type": "input_text", "text": text}, beta=beta)
        case Words(item, delta):
            return [{"type": f"{_TRANSCRIPTION}.delta", "item_id": item, "content_index": 0, "delta": delta}]
        case Transcribed():
            return [_transcribed(event)]
        case NotTranscribed(item, code, message):
            failure = {"type": "transcription_error", "code": code, "message": message, "param": None}
            return [{"type": f"{_TRANSCRIPTION}.failed", "item_id": item, "content_index": 0, "error": failure}]
        case Affect():
            return [_affect(event)]
        case Replied(item, answer):
            return _replied(item, answer)
        case Failed(_, AssistantError() as error):
            return [error_json(error.code, error.message)]
        case Failed():
            return [error_json(*INTERNAL)]
        case NoticeDue(version, also):
            return [notice_json(version, also)]
        case ConsentChanged(record) if record.event not in DECISIONS:
            return []  # no decision about one purpose; what it ends, ends without a word
        case ConsentChanged(record):
            return [{"type": "consent.updated", "consent": receipt(record, controller=controller)}]


def error_json(code: str, message: str, about: Any = None) -> dict[str, Any]:
    """An `error`, about the client's event of that id."""
    kind = "server_error" if code == INTERNAL[0] else "invalid_request_error"
    error = {"type": kind, "code": code, "message": message, "param": None, "event_id": about}
    return {"type": "error", "error": error}


def _item(item: str, previous: str | None, content: dict[str, Any], *, beta: bool) -> list[dict[str, Any]]:
    shown = {
        "id": item,
        "object": "realtime.item",
        "type": "message",
        "status": "completed",
        "role": "user",
        "content": [content],
    }
    names = ("created",) if beta else ("added", "done")
    return [{"type": f"conversation.item.{name}", "previous_item_id": previous, "item": shown} for name in names]


def _transcribed(event: Transcribed) -> dict[str, Any]:
    return {
        "type": f"{_TRANSCRIPTION}.completed",
        "item_id": event.item,
        "content_index": 0,
        "transcript": event.text,
        "languages": [] if event.language is None else [{"code": event.language}],
        "usage": {"type": "duration", "seconds": round(event.seconds, 3)},
    }


def _replied(item: str, answer: Answer) -> list[dict[str, Any]]:
    said = answer_json(answer)
    directive = {
        "type": "policy.directive",
        "item_id": item,
        "mood": said["mood"],
        "directive": said["directive"],
        "decision": said["decision"],
    }
    offers = {
        "type": "policy.recommendations",
        "item_id": item,
        "recommendations": said["recommendations"],
        "decision": said["decision"],
        "gpc": said["gpc"],
        "limits": said["limits"],
    }
    if answer.safety is None:
        return [directive, offers]
    return [{"type": "policy.safety", "item_id": item, "safety": said["safety"]}, directive, offers]


def disclosure_json(text: str) -> dict[str, Any]:
    """Whom the person talks to, at the beginning and every three hours."""
    return {"type": "policy.disclosure", "text": text, "every_s": round(DISCLOSE_EVERY_S)}


def notice_json(version: str, also: Sequence[str] = ()) -> dict[str, Any]:
    """The notice that comes before the first inference from the voice."""
    return {
        "type": "policy.notice",
        "notice": version,
        "about": "emotion estimation from the voice",
        "text": NOTICES[version],
        "also": list(also),
        "acknowledge": {"type": "consent.update", "acknowledge": True, "notice": version},
    }


def _affect(event: Affect) -> dict[str, Any]:
    return {
        "type": "affect.result",
        "item_id": event.item,
        "final": event.final,
        "window_s": round(event.window_s, 3),
        "audio_end_ms": event.end_ms,
        "reading": None if isinstance(event.said, Abstention) else event.said.as_json(),
        "abstained": event.said.reason if isinstance(event.said, Abstention) else None,
        "mood": None if event.mood is None else event.mood.as_json(),
        "statement": STATEMENT,
    }
