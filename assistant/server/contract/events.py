"""The events that `/v1/realtime` sends, and which of them each happening of a stream becomes.

`/asyncapi.json` is made from these structs. New members may come; none goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from assistant.consent.legal_rules import DISCLOSE_EVERY_S
from assistant.consent.receipt import DECISIONS, NOTICES, ConsentReceipt, receipt
from assistant.conversation.live import events as happenings
from assistant.conversation.session import Answer
from assistant.emotion import STATEMENT, Abstention
from assistant.errors import AssistantError
from assistant.server.contract import shapes
from assistant.server.contract.session import TranscriptionSession

INTERNAL = ("internal", "something went wrong here; it was logged")


class ItemContent(msgspec.Struct):
    """A part of an item: what was written, or speech, of which the words come apart."""

    type: Literal["input_text", "input_audio", "output_text"]
    text: str | UnsetType = UNSET
    transcript: str | UnsetType | None = UNSET


class ConversationItem(msgspec.Struct, kw_only=True):
    """An utterance or a message."""

    id: str
    object: Literal["realtime.item"] = "realtime.item"
    type: Literal["message"] = "message"
    status: Literal["completed"] = "completed"
    role: happenings.Role = "user"
    content: list[ItemContent]


class SpokenLanguage(msgspec.Struct):
    """A language that was recognised or asked for."""

    code: str


class AudioUsage(msgspec.Struct, kw_only=True):
    """How much was transcribed."""

    type: Literal["duration"] = "duration"
    seconds: float


class TranscriptionError(msgspec.Struct, kw_only=True):
    """Why the words can't be told."""

    type: Literal["transcription_error"] = "transcription_error"
    code: str
    message: str
    param: None = None


class ErrorDetails(msgspec.Struct, kw_only=True):
    """What went wrong; `event_id` is that of the client's event, where it had one."""

    type: Literal["invalid_request_error", "server_error"]
    code: str
    message: str
    param: None = None
    event_id: Any = None


class NoticeAnswer(msgspec.Struct, kw_only=True):
    """What to send once the notice was shown and acknowledged."""

    type: Literal["consent.update"] = "consent.update"
    acknowledge: bool = True
    notice: str


class ServerEvent(msgspec.Struct, tag_field="type", kw_only=True):
    """What every event has."""

    event_id: str = ""
    """Given when it is sent."""


class SessionCreated(ServerEvent, kw_only=True, tag="session.created"):
    """The stream is open. Always the first event."""

    session: TranscriptionSession


class SessionUpdated(ServerEvent, kw_only=True, tag="session.updated"):
    """The answer to `session.update`."""

    session: TranscriptionSession


class TranscriptionSessionUpdated(ServerEvent, kw_only=True, tag="transcription_session.updated"):
    """The answer to `transcription_session.update`, the name in the beta."""

    session: TranscriptionSession


class SpeechBegan(ServerEvent, kw_only=True, tag="input_audio_buffer.speech_started"):
    """An utterance began."""

    item_id: str
    audio_start_ms: int
    """Milliseconds of audio since the stream began."""


class SpeechEnded(ServerEvent, kw_only=True, tag="input_audio_buffer.speech_stopped"):
    """It ended."""

    item_id: str
    audio_end_ms: int


class BufferCommitted(ServerEvent, kw_only=True, tag="input_audio_buffer.committed"):
    """The audio of an utterance is complete."""

    item_id: str
    previous_item_id: str | None


class BufferCleared(ServerEvent, kw_only=True, tag="input_audio_buffer.cleared"):
    """Audio that was not committed is forgotten."""


class ItemAdded(ServerEvent, kw_only=True, tag="conversation.item.added"):
    """There is a new item."""

    previous_item_id: str | None
    item: ConversationItem


class ItemDone(ServerEvent, kw_only=True, tag="conversation.item.done"):
    """An item is complete."""

    previous_item_id: str | None
    item: ConversationItem


class ItemCreated(ServerEvent, kw_only=True, tag="conversation.item.created"):
    """There is a new item: what the beta sends instead of `added` and `done`."""

    previous_item_id: str | None
    item: ConversationItem


class TranscriptDelta(ServerEvent, kw_only=True, tag="conversation.item.input_audio_transcription.delta"):
    """More words of an utterance. What was told once is not taken back."""

    item_id: str
    content_index: int = 0
    delta: str


class TranscriptCompleted(ServerEvent, kw_only=True, tag="conversation.item.input_audio_transcription.completed"):
    """All words of an utterance."""

    item_id: str
    content_index: int = 0
    transcript: str
    languages: list[SpokenLanguage]
    usage: AudioUsage


class TranscriptFailed(ServerEvent, kw_only=True, tag="conversation.item.input_audio_transcription.failed"):
    """The words of an utterance can't be told."""

    item_id: str
    content_index: int = 0
    error: TranscriptionError


class AffectResult(ServerEvent, kw_only=True, tag="affect.result"):
    """What the voice says of the mood: in the middle of an utterance, or `final` at its end."""

    item_id: str
    final: bool
    window_s: float
    """Seconds of speech it was made from."""
    audio_end_ms: int
    """Where these end, or the utterance where it is final, with the silence that ended it."""
    reading: shapes.ShownReading | None
    abstained: str | None
    """Why there is no reading."""
    mood: shapes.CurrentMood | None
    statement: str = STATEMENT


class PolicyNotice(ServerEvent, kw_only=True, tag="policy.notice"):
    """Show this before the voice is read; nothing is inferred from it until it is acknowledged."""

    notice: str
    about: str = "emotion estimation from the voice"
    text: str
    also: Sequence[str]
    """What the law of the place asks to be said besides."""
    acknowledge: NoticeAnswer


class PolicyDisclosure(ServerEvent, kw_only=True, tag="policy.disclosure"):
    """Tell the person that they talk to a machine. Comes at the beginning, and again after `every_s` seconds."""

    text: str
    every_s: int = round(DISCLOSE_EVERY_S)


class PolicySafety(ServerEvent, kw_only=True, tag="policy.safety"):
    """Somebody may come to harm: lead them to human help. Comes before the tone of the same item."""

    item_id: str
    safety: shapes.WayToHelp


class PolicyDirective(ServerEvent, kw_only=True, tag="policy.directive"):
    """The tone to take after an utterance or a written item."""

    item_id: str
    mood: shapes.CurrentMood | None
    directive: shapes.ToneDirective
    decision: str


class PolicyRecommendations(ServerEvent, kw_only=True, tag="policy.recommendations"):
    """What to recommend after it."""

    item_id: str
    recommendations: list[shapes.RecommendedItem]
    decision: str
    gpc: bool
    """The stream was opened with `Sec-GPC: 1`, which was obeyed."""
    limits: list[shapes.HeldLimit]


class ConsentUpdated(ServerEvent, kw_only=True, tag="consent.updated"):
    """The notice was acknowledged, or the person decided something, here or elsewhere."""

    acknowledged: str | UnsetType = UNSET
    consent: ConsentReceipt | UnsetType = UNSET


class ErrorEvent(ServerEvent, kw_only=True, tag="error"):
    """Something could not be done; the stream goes on."""

    error: ErrorDetails


SERVER_EVENTS: tuple[type[ServerEvent], ...] = tuple(ServerEvent.__subclasses__())
"""Every kind of event, in the order of their definition."""


def events_of(event: happenings.Event, controller: str, *, beta: bool = False) -> list[ServerEvent]:
    """The events that one happening becomes, in their order; `beta` in the words of the older API."""
    match event:
        case happenings.SpeechStarted(item, at_ms):
            return [SpeechBegan(item_id=item, audio_start_ms=at_ms)]
        case happenings.SpeechStopped(item, at_ms):
            return [SpeechEnded(item_id=item, audio_end_ms=at_ms)]
        case happenings.Committed(item, previous):
            committed = BufferCommitted(item_id=item, previous_item_id=previous)
            heard = ItemContent("input_audio", transcript=None)
            return [committed, *_item(item, previous, heard, "user", beta=beta)]
        case happenings.Written(item, previous, text, role):
            kind: Literal["output_text", "input_text"] = "output_text" if role == "assistant" else "input_text"
            return _item(item, previous, ItemContent(kind, text=text), role, beta=beta)
        case happenings.Words(item, delta):
            return [TranscriptDelta(item_id=item, delta=delta)]
        case happenings.Transcribed(item, text, language, seconds):
            languages = [] if language is None else [SpokenLanguage(language)]
            usage = AudioUsage(seconds=round(seconds, 3))
            return [TranscriptCompleted(item_id=item, transcript=text, languages=languages, usage=usage)]
        case happenings.NotTranscribed(item, code, message):
            return [TranscriptFailed(item_id=item, error=TranscriptionError(code=code, message=message))]
        case happenings.Affect():
            return [_affect(event)]
        case happenings.Replied(item, answer):
            return _reply(item, answer)
        case happenings.Failed(_, AssistantError() as error):
            return [error_event(error.code, error.message)]
        case happenings.Failed():
            return [error_event(*INTERNAL)]
        case happenings.NoticeDue(version, also):
            reply = NoticeAnswer(notice=version)
            return [PolicyNotice(notice=version, text=NOTICES[version], also=also, acknowledge=reply)]
        case happenings.ConsentChanged(record) if record.event not in DECISIONS:
            return []  # no decision about one purpose; what it ends, ends without a word
        case happenings.ConsentChanged(record):
            return [ConsentUpdated(consent=receipt(record, controller=controller))]


def error_event(code: str, message: str, about: Any = None) -> ErrorEvent:
    """An `error`, about the client's event of that id."""
    kind: Literal["server_error", "invalid_request_error"]
    kind = "server_error" if code == INTERNAL[0] else "invalid_request_error"
    return ErrorEvent(error=ErrorDetails(type=kind, code=code, message=message, event_id=about))


def _item(
    item: str, previous: str | None, content: ItemContent, role: happenings.Role, *, beta: bool
) -> list[ServerEvent]:
    shown = ConversationItem(id=item, role=role, content=[content])
    kinds = (ItemCreated,) if beta else (ItemAdded, ItemDone)
    return [kind(previous_item_id=previous, item=shown) for kind in kinds]


def _affect(event: happenings.Affect) -> AffectResult:
    return AffectResult(
        item_id=event.item,
        final=event.final,
        window_s=round(event.window_s, 3),
        audio_end_ms=event.end_ms,
        reading=None if isinstance(event.said, Abstention) else shapes.show_reading(event.said),
        abstained=event.said.reason if isinstance(event.said, Abstention) else None,
        mood=None if event.mood is None else shapes.show_mood(event.mood),
    )


def _reply(item: str, answer: Answer) -> list[ServerEvent]:
    shown = shapes.show_answer(answer)
    safety = [] if shown.safety is None else [PolicySafety(item_id=item, safety=shown.safety)]
    directive = PolicyDirective(item_id=item, mood=shown.mood, directive=shown.directive, decision=shown.decision)
    offers = PolicyRecommendations(
        item_id=item,
        recommendations=shown.recommendations,
        decision=shown.decision,
        gpc=shown.gpc,
        limits=shown.limits,
    )
    return [*safety, directive, offers]
