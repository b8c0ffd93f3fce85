"""The events that `/v1/realtime` sends, as `/asyncapi.json` describes them. New members may come; none goes.

Nothing is made from these: `wire` and `realtime` write the events, and a test holds each one against its shape.
"""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from assistant.server.contract.shapes import (
    AudioUsage,
    ConsentReceipt,
    ConversationItem,
    CurrentMood,
    ErrorDetails,
    LimitHeld,
    NoticeAnswer,
    RecommendedItem,
    Session,
    SpokenLanguage,
    ToneDirective,
    TranscriptionError,
    VoiceReading,
    WayToHelp,
)


class ServerEvent(msgspec.Struct, tag_field="type", kw_only=True):
    """What every event has."""

    event_id: str


class SessionCreated(ServerEvent, tag="session.created"):
    """The stream is open. Always the first event."""

    session: Session


class SessionUpdated(ServerEvent, tag="session.updated"):
    """The answer to `session.update`."""

    session: Session


class TranscriptionSessionUpdated(ServerEvent, tag="transcription_session.updated"):
    """The answer to `transcription_session.update`, the name in the beta."""

    session: Session


class SpeechBegan(ServerEvent, tag="input_audio_buffer.speech_started"):
    """An utterance began."""

    item_id: str
    audio_start_ms: int
    """Milliseconds of audio since the stream began."""


class SpeechEnded(ServerEvent, tag="input_audio_buffer.speech_stopped"):
    """It ended."""

    item_id: str
    audio_end_ms: int


class BufferCommitted(ServerEvent, tag="input_audio_buffer.committed"):
    """The audio of an utterance is complete."""

    item_id: str
    previous_item_id: str | None


class BufferCleared(ServerEvent, tag="input_audio_buffer.cleared"):
    """Audio that was not committed is forgotten."""


class ItemAdded(ServerEvent, tag="conversation.item.added"):
    """There is a new item."""

    previous_item_id: str | None
    item: ConversationItem


class ItemDone(ServerEvent, tag="conversation.item.done"):
    """An item is complete."""

    previous_item_id: str | None
    item: ConversationItem


class ItemCreated(ServerEvent, tag="conversation.item.created"):
    """There is a new item: what the beta sends instead of `added` and `done`."""

    previous_item_id: str | None
    item: ConversationItem


class TranscriptDelta(ServerEvent, tag="conversation.item.input_audio_transcription.delta"):
    """More words of an utterance. What was told once is not taken back."""

    item_id: str
    content_index: int
    delta: str


class TranscriptCompleted(ServerEvent, tag="conversation.item.input_audio_transcription.completed"):
    """All words of an utterance."""

    item_id: str
    content_index: int
    transcript: str
    languages: list[SpokenLanguage]
    usage: AudioUsage


class TranscriptFailed(ServerEvent, tag="conversation.item.input_audio_transcription.failed"):
    """The words of an utterance can't be told."""

    item_id: str
    content_index: int
    error: TranscriptionError


class AffectResult(ServerEvent, tag="affect.result"):
    """What the voice says of the mood: in the middle of an utterance, or `final` at its end."""

    item_id: str
    final: bool
    window_s: float
    """Seconds of speech it was made from."""
    audio_end_ms: int
    """Where these end, or the utterance where it is final, with the silence that ended it."""
    reading: VoiceReading | None
    abstained: str | None
    """Why there is no reading."""
    mood: CurrentMood | None
    statement: str


class PolicyNotice(ServerEvent, tag="policy.notice"):
    """Show this before the voice is read; nothing is inferred from it until it is acknowledged."""

    notice: str
    about: str
    text: str
    also: list[str]
    """What the law of the place asks to be said besides."""
    acknowledge: NoticeAnswer


class PolicyDisclosure(ServerEvent, tag="policy.disclosure"):
    """Tell the person that they talk to a machine. Comes at the beginning, and again after `every_s` seconds."""

    text: str
    every_s: int


class PolicySafety(ServerEvent, tag="policy.safety"):
    """Somebody may come to harm: lead them to human help. Comes before the tone of the same item."""

    item_id: str
    safety: WayToHelp


class PolicyDirective(ServerEvent, tag="policy.directive"):
    """The tone to take after an utterance or a written item."""

    item_id: str
    mood: CurrentMood | None
    directive: ToneDirective
    decision: str


class PolicyRecommendations(ServerEvent, tag="policy.recommendations"):
    """What to recommend after it."""

    item_id: str
    recommendations: list[RecommendedItem]
    decision: str
    gpc: bool
    """The stream was opened with `Sec-GPC: 1`, which was obeyed."""
    limits: list[LimitHeld]


class ConsentUpdated(ServerEvent, tag="consent.updated"):
    """The notice was acknowledged, or the person decided something, here or elsewhere."""

    acknowledged: str | UnsetType = UNSET
    consent: ConsentReceipt | UnsetType = UNSET


class ErrorEvent(ServerEvent, tag="error"):
    """Something could not be done; the stream goes on."""

    error: ErrorDetails


SERVER_EVENTS: tuple[type[ServerEvent], ...] = (
    SessionCreated,
    SessionUpdated,
    TranscriptionSessionUpdated,
    SpeechBegan,
    SpeechEnded,
    BufferCommitted,
    BufferCleared,
    ItemAdded,
    ItemDone,
    ItemCreated,
    TranscriptDelta,
    TranscriptCompleted,
    TranscriptFailed,
    AffectResult,
    PolicyDisclosure,
    PolicyNotice,
    PolicySafety,
    PolicyDirective,
    PolicyRecommendations,
    ConsentUpdated,
    ErrorEvent,
)
