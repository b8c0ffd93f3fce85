"""A session's options in the words of the OpenAI Realtime API: of transcription sessions, and of its beta.

`session.update` changes what it names and leaves the rest. Options that mean nothing here are accepted and ignored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from msgspec import UNSET

from assistant.audio.intake import AudioFormat
from assistant.audio.segment import SegmentRules
from assistant.conversation.dictation import Transcription
from assistant.errors import Invalid
from assistant.server.contract.session import (
    SessionAudio,
    SessionBody,
    SessionInput,
    ShownFormat,
    TranscriptionBody,
    TurnDetection,
)


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What a session is set to."""

    format: AudioFormat = AudioFormat()
    turns: TurnDetection | None = TurnDetection()
    """None: the client commits."""
    transcription: Transcription | None = Transcription()
    """None: off."""

    def updated(self, body: SessionBody) -> SessionOptions:
        """As an update wants it.

        Raises `Invalid`: `unsupported_session_type`, `unsupported_audio_format` or `unsupported_turn_detection`.

        >>> off = SessionOptions().updated(SessionBody(turn_detection=None))
        >>> off.turns is None, off.transcription
        (True, Transcription(language=None))
        """
        if body.type != "transcription":
            raise Invalid("sessions here are of the type `transcription`", code="unsupported_session_type")
        given = body.audio.input
        options = self
        form = _named(given.format, body.input_audio_format)
        if form is not UNSET:
            options = replace(options, format=AudioFormat.parse(form))
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
        if self.turns is None:
            return None
        turns = self.turns
        return SegmentRules(
            turns.threshold, silence_s=turns.silence_duration_ms / 1000, prefix_s=turns.prefix_padding_ms / 1000
        )

    def show(self) -> SessionAudio:
        """The `audio` of a session."""
        words, form = self.transcription, self.format
        return SessionAudio(
            SessionInput(
                ShownFormat(form.type, form.rate if form.type == "audio/pcm" else UNSET),
                None if words is None else TranscriptionBody(words.language),
                self.turns,
            )
        )


def _named(new: Any, old: Any) -> Any:
    return old if new is UNSET else new
