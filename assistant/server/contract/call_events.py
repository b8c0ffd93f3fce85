"""The events that `/v1/calls` sends to an app: what is heard in the phone calls of its people.

`/asyncapi.json` is made from these structs. New members may come; none goes.
"""

from __future__ import annotations

import msgspec

from assistant.server.contract.events import (
    AffectResult,
    BufferCommitted,
    ConsentUpdated,
    ErrorEvent,
    ItemAdded,
    ItemCreated,
    ItemDone,
    PolicyDirective,
    PolicyNotice,
    PolicyRecommendations,
    PolicySafety,
    ServerEvent,
    SpeechBegan,
    SpeechEnded,
    TranscriptCompleted,
    TranscriptDelta,
    TranscriptFailed,
)

# fmt: off
Heard = (
    SpeechBegan | SpeechEnded | BufferCommitted | ItemAdded | ItemCreated | ItemDone | TranscriptDelta
    | TranscriptCompleted | TranscriptFailed | AffectResult | PolicyNotice | PolicySafety | PolicyDirective
    | PolicyRecommendations | ConsentUpdated | ErrorEvent
)
# fmt: on


class CallTrack(msgspec.Struct, kw_only=True):
    """One side of a call that has a person."""

    track: str
    person: str
    acknowledged: bool
    """The person was told the current notice."""
    transcription: bool
    """The words are told, and words of crisis noticed."""
    language: str | None


class CallsOpened(ServerEvent, kw_only=True, tag="calls.opened"):
    """The app's calls are told from here on. Always the first event."""

    person: str | None
    """Only calls with this person are told; null: all."""


class CallBegan(ServerEvent, kw_only=True, tag="call.started"):
    """A call begins to be heard."""

    call: str
    """The telephone service's id of the call, or of its stream; one of ours where it gives none."""
    service: str
    format: str
    """Of the audio, as `audio/pcmu`."""
    rate: int
    """Hz."""
    tracks: list[CallTrack]
    ignored: list[str]
    """Parameters that mean nothing here: those whose names are plain words."""


class CallEvent(ServerEvent, kw_only=True, tag="call.event"):
    """Something was heard on one side of a call: `event` is as `/v1/realtime` sends it."""

    call: str
    person: str | None
    """None where it is about the whole call."""
    track: str | None
    event: Heard


class CallEnded(ServerEvent, kw_only=True, tag="call.ended"):
    """A call is heard no more."""

    call: str
    reason: str
    """A code; empty where the other side ended it."""


CALL_EVENTS: tuple[type[ServerEvent], ...] = (CallsOpened, CallBegan, CallEvent, CallEnded)
