"""Examples of events for `/asyncapi.json`. What the server sends is written by the code that sends it."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import msgspec

from assistant.consent.legal_rules import MACHINE
from assistant.consent.receipt import Actor, Record
from assistant.conversation.live import events as happenings
from assistant.conversation.session import Answer
from assistant.emotion import Abstention, Estimate, Evidence, Mood, Reading
from assistant.errors import Unavailable
from assistant.profile.person import Profile
from assistant.recommend.catalogue import starter
from assistant.recommend.item_table import lay_out
from assistant.recommend.moment import NOWHERE
from assistant.recommend.ranking import RankRequest, rank_items
from assistant.recommend.scoring import RankingContext
from assistant.server.contract import events
from assistant.server.contract.session import Capabilities, TranscriptionSession
from assistant.server.live.dialect import SessionOptions
from assistant.text.crisis import notice_crisis
from assistant.tone.policy import choose

_NOW = 1_800_000_000.0
_ITEM, _BEFORE = "item_2", "item_1"
_EMOTIONS = {"anger": 0.05, "fear": 0.55, "joy": 0.03, "neutral": 0.25, "sadness": 0.12}
_TENSE = Reading("voice", Estimate(-0.4, 0.2), Estimate(0.6, 0.2), 0.7, _EMOTIONS)
_MOOD = Mood(
    valence=_TENSE.valence,
    arousal=_TENSE.arousal,
    stress=_TENSE.stress,
    emotions=_EMOTIONS,
    evidence=(Evidence("voice", 1.0, 0.4),),
    at=_NOW,
    expires_at=_NOW + 900,
    confidence=0.6,
    from_usual={"valence": -0.3, "arousal": 0.4},
    baseline="session",
    emotion_set=("fear", "neutral"),
)


def _answer(words: str, mood: Mood | None) -> Answer:
    safety = notice_crisis(words, "US")
    profile = Profile(interests=("music",))
    who = RankingContext(profile, mood, NOWHERE, _NOW, None, "example")
    slate = rank_items(lay_out(starter().items), who, RankRequest(slots=1)).slate
    return Answer(mood, choose(mood, profile, crisis=safety is not None), slate, "decision_1", safety)


_GRANTED = Record("receipt_1", "p", _NOW, "granted", "voice", "tone", "1", _NOW + 86_400, Actor("app", "stream"))

HAPPENINGS: tuple[happenings.Event, ...] = (
    happenings.SpeechStarted(_ITEM, 1_280),
    happenings.SpeechStopped(_ITEM, 4_352),
    happenings.Committed(_ITEM, _BEFORE),
    happenings.Written(_ITEM, None, "Can you move my meeting?"),
    happenings.Words(_ITEM, " move my"),
    happenings.Transcribed(_ITEM, "Can you move my meeting?", "en", 3.072),
    happenings.NotTranscribed(_ITEM, "busy", "this utterance could not be transcribed"),
    happenings.Affect(_ITEM, False, 2.5, 4_352, _TENSE, _MOOD),
    happenings.Affect(_ITEM, True, 3.0, 5_312, Abstention("voice", "too_noisy"), None),
    happenings.Replied(_ITEM, _answer("", _MOOD)),
    happenings.Replied(_ITEM, _answer("I want to kill myself", None)),
    happenings.Failed(_ITEM, Unavailable("the database does not answer", code="storage_failed")),
    happenings.NoticeDue("1", ("While it listens, software estimates emotion from your voice.",)),
    happenings.ConsentChanged(_GRANTED),
)
"""At least one of each kind that a stream can tell."""

_CAN = Capabilities(transcription=True, reasons={}, affect={"text": ["tone"], "voice": ["content", "tone"]})
_SESSION = TranscriptionSession(
    id="session_1", expires_at=round(_NOW) + 3_600, audio=SessionOptions().show(), capabilities=_CAN
)


def sent() -> Iterator[dict[str, Any]]:
    """What the server sends, each event once."""
    sessions = (events.SessionCreated, events.SessionUpdated, events.TranscriptionSessionUpdated)
    told: list[events.ServerEvent] = [
        *(kind(session=_SESSION) for kind in sessions),
        events.BufferCleared(),
        events.ConsentUpdated(acknowledged="1"),
        events.PolicyDisclosure(text=MACHINE),
        events.error_event("invalid_base64", "`audio` is not base64", "event_7"),
    ]
    for beta in (False, True):
        for happening in HAPPENINGS:
            told += events.events_of(happening, "Example app", beta=beta)
    seen: list[dict[str, Any]] = []
    for event in told:
        shown = msgspec.json.decode(msgspec.json.encode(event))
        if shown not in seen:
            seen.append(shown)
            yield {**shown, "event_id": f"event_{len(seen)}"}


_INPUT = {
    "format": {"type": "audio/pcm", "rate": 24_000},
    "transcription": {"language": "en"},
    "turn_detection": {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 400},
}
_UPDATE: dict[str, Any] = {"type": "transcription", "audio": {"input": _INPUT}}
_BETA_UPDATE: dict[str, Any] = {"input_audio_format": "g711_ulaw", "turn_detection": None}
_WRITTEN = {"type": "input_text", "text": "Can you move my meeting?"}

RECEIVED: tuple[dict[str, Any], ...] = (
    {"type": "session.update", "event_id": "mine_1", "session": _UPDATE},
    {"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}},
    {"type": "session.update", "session": {"audio": {"input": {"format": "audio/webm;codecs=opus"}}}},
    {"type": "session.update", "session": {"audio": {"input": {"format": "audio/mp4;codecs=mp4a.40.2"}}}},
    {"type": "transcription_session.update", "session": _BETA_UPDATE},
    {"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(8)).decode()},
    {"type": "input_audio_buffer.commit"},
    {"type": "input_audio_buffer.clear"},
    {"type": "conversation.item.create", "item": {"id": _ITEM, "content": [_WRITTEN]}},
    {"type": "consent.update", "acknowledge": True, "notice": "1"},
    {"type": "consent.update", "modality": "voice", "purpose": "tone", "granted": True, "notice": "1"},
    {"type": "consent.update", "modality": "voice", "purpose": "tone", "granted": False},
)
"""What clients send."""

_IDS: dict[str, Any] = {"streamSid": "MZ" + "0" * 32}
_WHOSE = {"accountSid": "AC" + "0" * 32, "callSid": "CA" + "0" * 32}
_START: dict[str, Any] = {
    "tracks": ["inbound", "outbound"],
    "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8_000, "channels": 1},
    "customParameters": {"key": "att_...", "person": "ada", "notice": "1"},
}
_PAYLOAD = base64.b64encode(b"\xff" * 8).decode()
_MEDIA = {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": _PAYLOAD}

CALLED: tuple[dict[str, Any], ...] = (
    {"event": "connected", "protocol": "Call", "version": "1.0.0"},
    {"event": "start", "sequenceNumber": "1", "start": _WHOSE | _IDS | _START, **_IDS},
    {"event": "media", "sequenceNumber": "2", "media": _MEDIA, **_IDS},
    {"event": "dtmf", "sequenceNumber": "3", "dtmf": {"track": "inbound_track", "digit": "1"}, **_IDS},
    {"event": "mark", "sequenceNumber": "4", "mark": {"name": "my label"}, **_IDS},
    {"event": "stop", "sequenceNumber": "5", "stop": _WHOSE, **_IDS},
)
"""What Twilio sends."""

_CALL: dict[str, Any] = {"call": "CA" + "0" * 32}
_HELP = {"level": "crisis", "rule": "wish_to_die", "message": "You are not alone.", "resources": ["988"]}
_SAFETY = {"type": "policy.safety", "event_id": "event_3", "item_id": _ITEM, "safety": _HELP}
_ADA = {"track": "inbound", "person": "ada"}

FED: tuple[dict[str, Any], ...] = (
    {"type": "calls.opened", "event_id": "event_1", "person": None},
    {
        "type": "call.started",
        "event_id": "event_2",
        "service": "Twilio",
        "format": "audio/pcmu",
        "rate": 8_000,
        "tracks": [_ADA | {"acknowledged": True, "transcription": True, "language": "en"}],
        "ignored": [],
        **_CALL,
    },
    {"type": "call.event", "event_id": "event_3", "event": _SAFETY, **_ADA, **_CALL},
    {"type": "call.ended", "event_id": "event_4", "reason": "", **_CALL},
)
"""What an app is told of calls."""
