"""The shapes inside the events that `/v1/realtime` sends, as `/asyncapi.json` describes them."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from assistant.emotion import Modality, Purpose
from assistant.profile.person import Formality
from assistant.server.live.dialect import TranscriptionBody, TurnDetection
from assistant.tone.directive import (
    Acknowledgement,
    Directness,
    Humour,
    Manner,
    Never,
    Pace,
    Reason,
    Speech,
    Verbosity,
    Warmth,
)


class Quantity(msgspec.Struct):
    """A number with its standard deviation, both on the scale from -1 to 1."""

    mean: float
    deviation: float


class VoiceReading(msgspec.Struct):
    """What one modality says. An estimate of expression."""

    modality: Modality
    valence: Quantity
    arousal: Quantity
    stress: float
    """A probability."""
    emotions: dict[str, float]
    statement: str


class Deviation(msgspec.Struct):
    """How far from what is usual for this person; null while that is not known."""

    valence: float | None
    arousal: float | None


class MoodEvidence(msgspec.Struct):
    """How much one modality counted; `correction`: the person said themself how it is."""

    modality: Modality | Literal["correction"]
    weight: float
    age_s: float


class CurrentMood(msgspec.Struct):
    """Readings fused over modalities and time; numbers are null where it abstained. An estimate of expression."""

    valence: Quantity | None
    arousal: Quantity | None
    stress: float | None
    emotions: dict[str, float]
    deviation: Deviation
    emotion_set: list[str]
    """Emotions that can't be ruled out, likeliest first: sad or neutral, say. Empty where that can't be said."""
    confidence: float
    unsure: list[str]
    """What is too uncertain to be said, as codes."""
    abstained: str | None
    disagreement: bool
    evidence: list[MoodEvidence]
    baseline: Literal["none", "session", "stored"]
    at: float
    """Unix seconds."""
    expires_at: float
    """Unix seconds."""
    statement: str


class ToneDirective(msgspec.Struct):
    """The tone to take, why, and what it would have been without the mood."""

    warmth: Warmth
    formality: Formality
    pace: Pace
    verbosity: Verbosity
    directness: Directness
    acknowledgement: Acknowledgement
    humour: Humour
    never: list[Never]
    """What a reply must not do now, whatever the tone."""
    reasons: list[Reason]
    without_mood: Manner
    counterfactual: str
    """What would be different without the mood, in words."""
    mood_used: bool
    policy: str
    prompt: str
    """A fragment for a system prompt."""
    ssml: str
    """A document of SSML 1.1; `<mark name="reply"/>` stands for the reply."""
    tag: str
    """The manner in one short line, for message metadata."""
    speech: Speech
    """The manner in numbers, for engines of speech."""


class RecommendedItem(msgspec.Struct):
    """One ranked item; the score is the sum of its parts."""

    id: str
    title: str
    kind: str
    language: str
    commercial: bool
    score: float
    parts: dict[str, float]
    propensity: float
    reason: str


class LimitHeld(msgspec.Struct):
    """Something that was not done, as the person or their browser asked."""

    code: str
    says: str


class WayToHelp(msgspec.Struct):
    """Where there is human help."""

    level: Literal["crisis"]
    rule: str
    message: str
    resources: list[str]


class NoticeShown(msgspec.Struct):
    """A version of the notice."""

    version: str
    text: str


class DecidedBy(msgspec.Struct):
    """Who decided."""

    kind: Literal["person", "app", "operator", "clock"]
    evidence: str


class Withdrawal(msgspec.Struct):
    """What to send to withdraw."""

    modality: Modality
    purpose: Purpose
    granted: bool


class ConsentReceipt(msgspec.Struct):
    """A decision about consent."""

    receipt: str
    event: Literal["granted", "withdrawn", "refused", "expired"]
    at: str
    controller: str
    modality: Modality
    purpose: Purpose
    means: str
    notice: NoticeShown
    expires_at: str | None
    decided_by: DecidedBy
    reason: str | None
    withdraw: Withdrawal
    statement: str


class SessionInput(msgspec.Struct):
    """How audio comes in and what is done with it."""

    format: dict[str, Any]
    noise_reduction: None
    transcription: TranscriptionBody | None
    turn_detection: TurnDetection | None


class SessionAudio(msgspec.Struct):
    """Settings of the audio."""

    input: SessionInput


class Capabilities(msgspec.Struct):
    """What this stream can do; of affect, what the person granted, by modality."""

    transcription: bool
    reasons: dict[str, str]
    """Why something can't be done."""
    affect: dict[Modality, list[Purpose]]


class Session(msgspec.Struct):
    """A transcription session."""

    id: str
    object: str
    type: Literal["transcription"]
    protocol_version: str
    expires_at: int
    """Unix seconds."""
    audio: SessionAudio
    include: list[str]
    capabilities: Capabilities


class ItemContent(msgspec.Struct):
    """A part of an item: what was written, or speech, of which the words come apart."""

    type: Literal["input_text", "input_audio"]
    text: str | UnsetType = UNSET
    transcript: str | UnsetType | None = UNSET


class ConversationItem(msgspec.Struct):
    """An utterance or a message."""

    id: str
    object: Literal["realtime.item"]
    type: Literal["message"]
    status: Literal["completed"]
    role: Literal["user"]
    content: list[ItemContent]


class SpokenLanguage(msgspec.Struct):
    """A language that was recognised or asked for."""

    code: str


class AudioUsage(msgspec.Struct):
    """How much was transcribed."""

    type: Literal["duration"]
    seconds: float


class TranscriptionError(msgspec.Struct):
    """Why the words can't be told."""

    type: Literal["transcription_error"]
    code: str
    message: str
    param: None


class ErrorDetails(msgspec.Struct):
    """What went wrong; `event_id` is that of the client's event, where it had one."""

    type: Literal["invalid_request_error", "server_error"]
    code: str
    message: str
    param: None
    event_id: Any


class NoticeAnswer(msgspec.Struct):
    """What to send once the notice was shown and acknowledged."""

    type: Literal["consent.update"]
    acknowledge: bool
    notice: str
