"""A session's options in the words of the OpenAI Realtime API: of transcription sessions, and of its beta.

`session.update` changes what it names and leaves the rest. Each member holds, or is refused by its name, or is
told to be ignored: none of them is passed over, and none takes the others with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import UNSET

from assistant.audio.intake import AudioFormat
from assistant.audio.segment import SegmentRules
from assistant.consent.grant import Grant
from assistant.conversation.dictation import Dictation, Transcription
from assistant.errors import PLAIN_NAME, Invalid
from assistant.server.contract.session import (
    Capabilities,
    SessionAudio,
    SessionInput,
    ShownFormat,
    TranscriptionBody,
    TranscriptionSession,
    TurnDetection,
)

_RANGES = {"threshold": (0.05, 0.95), "prefix_padding_ms": (0, 2000), "silence_duration_ms": (100, 5000)}
_SILENCE_MS = {"low": 1000, "medium": 500, "auto": 500, "high": 300}
"""After which an utterance ends, by the eagerness of semantic VAD."""
_IGNORED: Mapping[str, tuple[str, ...]] = {
    "": (
        "model", "instructions", "modalities", "output_modalities", "voice", "tools", "tool_choice", "temperature",
        "speed", "prompt", "tracing", "truncation", "include", "max_output_tokens", "max_response_output_tokens",
        "input_audio_noise_reduction", "output_audio_format", "id", "object", "expires_at", "client_secret",
        "protocol_version", "capabilities", "ignored",
    ),
    "audio.": ("output",),
    "audio.input.": ("noise_reduction",),
    "transcription.": ("model", "prompt", "delay"),
    "turn_detection.": ("create_response", "interrupt_response", "idle_timeout_ms", "eagerness"),
}  # fmt: skip
"""What OpenAI's API knows and means nothing here, by the path before it."""


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """What a session is set to."""

    format: AudioFormat | None = AudioFormat()
    """None: the client named a format that is not known, so its audio can't be understood."""
    turns: TurnDetection | None = TurnDetection()
    """None: the client commits."""
    transcription: Transcription | None = Transcription()
    """None: off."""

    @property
    def rules(self) -> SegmentRules | None:
        """How speech is cut; None where the client commits."""
        if (turns := self.turns) is None:
            return None
        silence_s, prefix_s = turns.silence_duration_ms / 1000, turns.prefix_padding_ms / 1000
        return SegmentRules(turns.threshold, silence_s=silence_s, prefix_s=prefix_s)

    def show(self) -> SessionAudio:
        """The `audio` of a session."""
        words, form = self.transcription, self.format
        rate = form.rate if form is not None and form.type == "audio/pcm" else UNSET
        shown = None if form is None else ShownFormat(form.type, rate)
        return SessionAudio(
            SessionInput(shown, None if words is None else TranscriptionBody(words.language), self.turns)
        )


def show_session(
    name: str, expires_at: int, options: SessionOptions, ignored: list[str], grants: Sequence[Grant], *, words: bool
) -> TranscriptionSession:
    """A session; what it can infer depends on the person's grants, never on what is installed.

    `words`: they can be told.
    """
    why_not = "off" if options.transcription is None else "absent"
    can = Capabilities(
        transcription=words,
        reasons={} if words else {"transcription": why_not},
        affect={each: sorted(g.purpose for g in grants if g.modality == each) for each in ("text", "voice")},
    )
    return TranscriptionSession(
        id=name, expires_at=expires_at, audio=options.show(), ignored=ignored, capabilities=can
    )


@dataclass(slots=True)
class UpdateReader:
    """Reads one update, member by member."""

    options: SessionOptions
    dictation: Dictation | None
    """Knows which languages there are; None: no words are told, whatever the language."""
    faults: list[Invalid] = field(default_factory=list)
    """What was refused; each names its member."""
    ignored: list[str] = field(default_factory=list)

    def read(self, event: Mapping[str, Any]) -> SessionOptions:
        """The options that the update asks for, as far as they can be had.

        >>> reader = UpdateReader(SessionOptions(), None)
        >>> reader.read({"session": {"turn_detection": None, "voice": "alloy", "colour": 1}}).turns is None
        True
        >>> reader.ignored, [fault.message for fault in reader.faults]
        (['voice'], ['`colour` is no member of a session that is known here'])
        """
        for name in event.keys() - {"type", "event_id", "session"}:
            self._refuse_unknown("", name, "; put what you set inside `session`")
        session = event.get("session")
        if not isinstance(session, Mapping):
            if "session" in event or not self.faults:
                self.faults.append(Invalid("an update needs an object `session`"))
            return self.options
        audio = self._object("audio", session.get("audio"))
        given = self._object("audio.input", audio.get("input"))
        self._check_names("", session, "type audio input_audio_format input_audio_transcription turn_detection")
        self._check_names("audio.", audio, "input")
        self._check_names("audio.input.", given, "format transcription turn_detection")
        if session.get("type", "transcription") != "transcription":
            about = "sessions here are of the type `transcription`"
            self.faults.append(Invalid(about, code="unsupported_session_type"))
        for kind, old, read in (
            ("format", "input_audio_format", self._read_format),
            ("transcription", "input_audio_transcription", self._read_transcription),
            ("turn_detection", "turn_detection", self._read_turn_detection),
        ):
            if kind in given or old in session:
                try:
                    self.options = read(given[kind] if kind in given else session[old])
                except Invalid as fault:
                    self.faults.append(fault)
                    if kind == "format":
                        self.options = replace(self.options, format=None)
        return self.options

    def _read_format(self, value: Any) -> SessionOptions:
        return replace(self.options, format=AudioFormat.parse(value))

    def _read_transcription(self, value: Any) -> SessionOptions:
        if value is None:
            return replace(self.options, transcription=None)
        body = self._object("transcription", value)
        self._check_names("transcription.", body, "language languages")
        languages = body.get("languages")
        if languages is not None and not (isinstance(languages, list) and len(languages) <= 1):
            raise Invalid("`transcription.languages` holds one language at most", code="unknown_language")
        language = body.get("language") or (languages[0] if languages else None)
        if language is not None and not isinstance(language, str):
            raise Invalid("`transcription.language` is a text", code="unknown_language")
        if self.dictation is not None:
            language = self.dictation.find_language(language or "")
        return replace(self.options, transcription=Transcription(language or None))

    def _read_turn_detection(self, value: Any) -> SessionOptions:
        if value is None:
            return replace(self.options, turns=None)
        body = self._object("turn_detection", value)
        self._check_names("turn_detection.", body, " ".join(["type", *_RANGES]))
        kind = body.get("type", "server_vad")
        if kind == "none":
            return replace(self.options, turns=None)
        if kind not in ("server_vad", "semantic_vad"):
            about = "`turn_detection.type` is `server_vad`, `semantic_vad` or `none`"
            raise Invalid(about, code="unsupported_turn_detection")
        turns: dict[str, Any] = {"silence_duration_ms": _SILENCE_MS.get(str(body.get("eagerness")), 500)}
        for name, (least, most) in _RANGES.items():
            number = body.get(name)
            if isinstance(number, int | float) and not isinstance(number, bool):
                bounded = min(max(number, least), most)
                turns[name] = bounded if name == "threshold" else round(bounded)
            elif number is not None:
                about = f"`turn_detection.{name}` is a number"
                self.faults.append(Invalid(about, code="unsupported_turn_detection"))
        return replace(self.options, turns=TurnDetection(**turns))

    def _object(self, name: str, value: Any) -> Mapping[str, Any]:
        if value is None:
            return {}
        if not isinstance(value, Mapping):
            self.faults.append(Invalid(f"`{name}` is an object"))
            return {}
        return value

    def _check_names(self, path: str, given: Mapping[str, Any], known: str) -> None:
        for name in given.keys() - frozenset(known.split()):
            if name in _IGNORED[path]:
                self.ignored.append(f"{path}{name}")
            else:
                self._refuse_unknown(path, name)

    def _refuse_unknown(self, path: str, name: str, hint: str = "") -> None:
        shown = f"`{path}{name}`" if PLAIN_NAME.fullmatch(name) else "a member"
        about = f"{shown} is no member of a session that is known here{hint}"
        self.faults.append(Invalid(about, code="unknown_member"))
        if "format" in name:  # it may have been meant for the audio, whose rate must never be guessed
            self.options = replace(self.options, format=None)
