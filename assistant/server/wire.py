"""The shapes on the wire: what clients send, and how our events look."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from assistant.consent.policy import AgeBand
from assistant.consent.receipt import NOTICES, receipt
from assistant.conversation.events import (
    Affect,
    ConsentChanged,
    Event,
    NoticeDue,
    Replied,
    SpeechStarted,
    SpeechStopped,
)
from assistant.conversation.session import Answer
from assistant.emotion import STATEMENT, Abstention, Modality, Purpose
from assistant.profile.person import Formality

PROTOCOL_VERSION = "1"
MAX_TEXT = 20_000
"""Characters of a message."""

Text = Annotated[str, Meta(max_length=MAX_TEXT)]
Tag = Annotated[str, Meta(min_length=1, max_length=64)]


class PersonBody(msgspec.Struct, forbid_unknown_fields=True):
    """A person's declared profile. Everything may be left out."""

    language: Annotated[str, Meta(pattern="^[a-z]{2,3}$")] = "en"
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] | None = None
    age_band: AgeBand = "adult"
    interests: Annotated[list[Tag], Meta(max_length=64)] = []
    formality: Formality = "neutral"
    plain_language: bool = False


class ConsentBody(msgspec.Struct, forbid_unknown_fields=True):
    """A decision about one modality and one purpose. `notice` is the version that was shown; grants need it."""

    modality: Modality
    purpose: Purpose
    granted: bool
    notice: str = ""


class MessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """Something a person wrote."""

    text: Text
    context: dict[str, Any] = {}


class RankBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to rank: the whole catalogue, or only `candidates`."""

    slots: Annotated[int, Meta(ge=1, le=100)] = 5
    candidates: Annotated[list[str], Meta(max_length=10_000)] | None = None


class AudioFormat(msgspec.Struct):
    """`audio/pcm` at 16 kHz is what is understood."""

    type: str = "audio/pcm"
    rate: int = 16_000


class TurnDetection(msgspec.Struct):
    """Server VAD, in the words of the OpenAI Realtime API."""

    type: str = "server_vad"
    threshold: Annotated[float, Meta(ge=0.05, le=0.95)] = 0.5
    silence_duration_ms: Annotated[int, Meta(ge=100, le=5000)] = 500


class AudioInput(msgspec.Struct):
    """Settings of the audio that comes in."""

    format: AudioFormat = msgspec.field(default_factory=AudioFormat)
    turn_detection: TurnDetection | None = msgspec.field(default_factory=TurnDetection)


class AudioSettings(msgspec.Struct):
    """Audio settings."""

    input: AudioInput = msgspec.field(default_factory=AudioInput)


class SessionSettings(msgspec.Struct):
    """What `session.update` may set."""

    type: str = "transcription"
    audio: AudioSettings = msgspec.field(default_factory=AudioSettings)
    input_audio_format: str | None = None


class SessionUpdate(msgspec.Struct):
    """`session.update`."""

    session: SessionSettings = msgspec.field(default_factory=SessionSettings)


class Append(msgspec.Struct):
    """`input_audio_buffer.append`: base64 of PCM16."""

    audio: str


class Content(msgspec.Struct):
    """A part of an item."""

    type: str
    text: Text = ""


class ItemBody(msgspec.Struct):
    """A conversation item; only its text is read."""

    content: list[Content]
    id: str | None = None


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
    }


def event_json(event: Event, controller: str) -> list[dict[str, Any]]:
    """The events that one happening becomes, in their order."""
    match event:
        case SpeechStarted(item, at_ms):
            return [{"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": at_ms}]
        case SpeechStopped(item, at_ms):
            return [
                {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": at_ms},
                {"type": "input_audio_buffer.committed", "item_id": item},
            ]
        case Affect():
            return [_affect(event)]
        case Replied(item, answer):
            said = answer_json(answer)
            events: list[dict[str, Any]] = []
            if answer.safety is not None:
                events.append({"type": "policy.safety", "item_id": item, "safety": said["safety"]})
            return [
                *events,
                {
                    "type": "policy.directive",
                    "item_id": item,
                    "mood": said["mood"],
                    "directive": said["directive"],
                    "decision": said["decision"],
                },
                {
                    "type": "policy.recommendations",
                    "item_id": item,
                    "recommendations": said["recommendations"],
                    "decision": said["decision"],
                },
            ]
        case NoticeDue(version):
            return [notice_json(version)]
        case ConsentChanged(record):
            return [{"type": "consent.updated", "consent": receipt(record, controller=controller)}]


def notice_json(version: str) -> dict[str, Any]:
    """The notice that comes before the first inference from the voice."""
    return {
        "type": "policy.notice",
        "notice": version,
        "about": "emotion estimation from the voice",
        "text": NOTICES[version],
        "acknowledge": {"type": "consent.update", "acknowledge": True, "notice": version},
    }


def _affect(event: Affect) -> dict[str, Any]:
    return {
        "type": "affect.result",
        "item_id": event.item,
        "final": event.final,
        "window_s": round(event.window_s, 3),
        "reading": None if isinstance(event.said, Abstention) else event.said.as_json(),
        "abstained": event.said.reason if isinstance(event.said, Abstention) else None,
        "mood": None if event.mood is None else event.mood.as_json(),
        "statement": STATEMENT,
    }
