"""A session's options in the words of the OpenAI Realtime API: of transcription sessions, and of its beta.

`session.update` changes what it names and leaves the rest. Options that mean nothing here are accepted and ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from assistant.audio.intake import AudioFormat
from assistant.audio.segment import SegmentRules
from assistant.conversation.dictation import Transcription
from assistant.errors import Invalid


class TurnDetection(msgspec.Struct, frozen=True):
    """Server VAD."""

    type: str = "server_vad"
    threshold: Annotated[float, Meta(ge=0.05, le=0.95)] = 0.5
    prefix_padding_ms: Annotated[int, Meta(ge=0, le=2000)] = 300
    silence_duration_ms: Annotated[int, Meta(ge=100, le=5000)] = 500

    def rules(self) -> SegmentRules:
        """How speech is cut by it."""
        return SegmentRules(
            self.threshold, silence_s=self.silence_duration_ms / 1000, prefix_s=self.prefix_padding_ms / 1000
        )


class TranscriptionBody(msgspec.Struct, frozen=True):
    """Transcription. There is one model, whatever was named."""

    language: Annotated[str, Meta(max_length=20)] | None = None


Format = dict[str, Any] | str


class InputBody(msgspec.Struct):
    """`audio.input`."""

    format: Format | UnsetType = UNSET
    transcription: TranscriptionBody | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class AudioBody(msgspec.Struct):
    """`audio`."""

    input: InputBody = msgspec.field(default_factory=InputBody)


class SessionBody(msgspec.Struct):
    """What `session.update` may set, and what the beta called it."""

    type: str = "transcription"
    audio: AudioBody = msgspec.field(default_factory=AudioBody)
    input_audio_format: Format | UnsetType = UNSET
    input_audio_transcription: TranscriptionBody | UnsetType | None = UNSET
    turn_detection: TurnDetection | UnsetType | None = UNSET


class SessionUpdate(msgspec.Struct):
    """`session.update` and `transcription_session.update`."""

    session: SessionBody = msgspec.field(default_factory=SessionBody)


@dataclass(frozen=True, slots=True)
class Options:
    """What a session is set to."""

    format: AudioFormat = AudioFormat()
    turns: TurnDetection | None = TurnDetection()
    """None: the client commits."""
    transcription: Transcription | None = Transcription()
    """None: off."""

    def updated(self, body: SessionBody) -> Options:
        """As an update wants it.

        Raises `Invalid`: `unsupported_session_type`, `unsupported_audio_format` or `unsupported_turn_detection`.

        >>> off = Options().updated(msgspec.convert({"turn_detection": None}, SessionBody))
        >>> off.turns is None, off.transcription
        (True, Transcription(language=None))
        """
        if body.type != "transcription":
            raise Invalid("sessions here are of the type `transcription`", code="unsupported_session_type")
        given = body.audio.input
        options = self
        form = _named(given.format, body.input_audio_format)
        if form is not UNSET:
            options = replace(options, format=AudioFormat.understood(form))
        turns = _named(given.turn_detection, body.turn_detection)
        if turns is not UNSET:
            if turns is not None and turns.type != "server_vad":
                raise Invalid("turn_detection is `server_vad` or null", code="unsupported_turn_detection")
            options = replace(options, turns=turns)
        words = _named(given.transcription, body.input_audio_transcription)
        if words is not UNSET:
            options = replace(options, transcription=None if words is None else Transcription(words.language))
        return options

    @property
    def rules(self) -> SegmentRules | None:
        """How speech is cut; None where the client commits."""
        return None if self.turns is None else self.turns.rules()

    def as_json(self) -> dict[str, Any]:
        """The `audio` of a session."""
        words = self.transcription
        return {
            "input": {
                "format": self.format.as_json(),
                "noise_reduction": None,
                "transcription": None if words is None else {"language": words.language},
                "turn_detection": None if self.turns is None else msgspec.to_builtins(self.turns),
            }
        }


def _named(new: Any, old: Any) -> Any:
    return old if new is UNSET else new
