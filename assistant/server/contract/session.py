"""A session of `/v1/realtime` in the words of the OpenAI Realtime API: what clients send, and how it is shown."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from assistant.conversation.live.events import Role
from assistant.emotion import Modality, Purpose

PROTOCOL_VERSION = "1"

Text = Annotated[str, Meta(max_length=20_000)]
Format = dict[str, Any] | str


class TurnDetection(msgspec.Struct, frozen=True):
    """Server VAD. Numbers outside their range are moved to its nearest end, and said back so."""

    type: Literal["server_vad", "semantic_vad", "none"] = "server_vad"
    """`semantic_vad` is taken as server VAD whose silence its `eagerness` sets; `none` leaves it to the client."""
    threshold: Annotated[float, Meta(ge=0.05, le=0.95)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=2000)] = 300
    silence_duration_ms: Annotated[int, Meta(ge=100, le=5000)] = 500
    eagerness: Literal["low", "medium", "high", "auto"] | UnsetType = UNSET


class TranscriptionBody(msgspec.Struct, frozen=True):
    """Transcription. There is one model, whatever was named."""

    language: Annotated[str, Meta(max_length=40)] | None = None
    """A BCP-47 tag, or the language's English name; empty, `auto` or null: it is detected."""
    languages: Annotated[list[str], Meta(max_length=1)] | UnsetType = UNSET
    """The same as a list; there is one language at most."""


class InputBody(msgspec.Struct):
    """`audio.input`."""

    format: Format | UnsetType = UNSET
    transcription: TranscriptionBody | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class AudioBody(msgspec.Struct):
    """`audio`."""

    input: InputBody | None = None


class SessionBody(msgspec.Struct):
    """What `session.update` may set, and what the beta called it."""

    type: str = "transcription"
    audio: AudioBody | None = None
    input_audio_format: Format | UnsetType = UNSET
    input_audio_transcription: TranscriptionBody | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class SessionUpdate(msgspec.Struct):
    """`session.update` and `transcription_session.update`. Each member holds or is refused by itself."""

    session: SessionBody


class Append(msgspec.Struct):
    """`input_audio_buffer.append`."""

    audio: bytes
    """Base64 on the wire."""


class Content(msgspec.Struct):
    """A part of an item: `input_text`, `output_text`, or `input_audio` that the client transcribed itself."""

    type: str
    text: Text | None = None
    transcript: Text | None = None
    audio: str | None = None
    """Refused: audio comes by `input_audio_buffer.append`."""


class ItemBody(msgspec.Struct):
    """A conversation item; only the words of a `user` are read, the others are shown as what they are."""

    content: list[Content]
    id: Annotated[str, Meta(min_length=1, max_length=128)] | None = None
    role: Role = "user"
    type: Literal["message"] = "message"

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


class ShownFormat(msgspec.Struct):
    """How audio comes in; only PCM has a rate, in Hz."""

    type: str
    rate: int | UnsetType = UNSET


class SessionInput(msgspec.Struct):
    """How audio comes in and what is done with it."""

    format: ShownFormat | None
    """Null: no format is agreed on, as the one that was named is not known; audio is refused."""
    transcription: TranscriptionBody | None
    turn_detection: TurnDetection | None
    noise_reduction: None = None


class SessionAudio(msgspec.Struct):
    """Settings of the audio."""

    input: SessionInput


class Capabilities(msgspec.Struct):
    """What this stream can do; of affect, what the person granted, by modality."""

    transcription: bool
    reasons: dict[str, str]
    """Why something can't be done."""
    affect: dict[Modality, list[Purpose]]


class TranscriptionSession(msgspec.Struct, kw_only=True):
    """A transcription session."""

    id: str
    object: Literal["realtime.transcription_session"] = "realtime.transcription_session"
    type: Literal["transcription"] = "transcription"
    protocol_version: str = PROTOCOL_VERSION
    expires_at: int
    """Unix seconds."""
    audio: SessionAudio
    include: list[str] = []
    ignored: list[str] = []
    """Members of the last update that OpenAI's API knows and that mean nothing here."""
    capabilities: Capabilities
