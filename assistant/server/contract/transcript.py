"""A transcription in the words of OpenAI's API: the form that asks for one, and its answers in every format."""

from __future__ import annotations

import html
import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from assistant.audio.transcribe import language_name
from assistant.conversation.recording import Spoken
from assistant.server.contract.shapes import WayToHelp

_HELP_S = 10.0
"""How long subtitles show the way to help."""

File = Annotated[str, Meta(extra_json_schema={"format": "binary"})]


class TranscriptionForm(msgspec.Struct, kw_only=True):
    """The form. What is not listed here is refused by its name."""

    file: File
    """A recording of at most ten minutes, in any common format."""
    model: str = ""
    """There is one model, whatever is named."""
    language: str = ""
    """A BCP-47 tag, or the language's English name; empty: it is detected. `languages[]` may hold one, too."""
    languages: list[str] = []
    response_format: Literal["json", "text", "srt", "verbose_json", "vtt"] = "json"
    timestamp_granularities: list[Literal["segment"]] = []
    """Only with `verbose_json`, which always has segments."""
    stream: bool = False
    """Only with `json` or `text`: events `transcript.text.delta` and `transcript.text.done`."""
    chunking_strategy: str = "auto"
    """`auto`, or server VAD as `chunking_strategy[type]`, `[threshold]`, `[silence_duration_ms]` and so on."""
    temperature: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """The likeliest words are taken, and others only where those make no sense, as with 0; more is ignored."""
    prompt: str = ""
    """Ignored, as `keywords[]` is."""
    keywords: list[str] = []
    user: str = ""
    """The person whose way to help is wanted, as in a chat; so is `safety_identifier`."""
    safety_identifier: str = ""


class TranscriptNotes(msgspec.Struct, kw_only=True):
    """What is ours in an answer."""

    safety: WayToHelp | None
    """Where words of crisis were said."""
    ignored: list[str]
    """Fields that OpenAI's API knows and that mean nothing here."""
    incomplete: str | None
    """Why the end of the recording could not be transcribed; such an answer is given only where `safety` is."""


class DurationUsage(msgspec.Struct):
    """How much was transcribed."""

    seconds: int
    type: Literal["duration"] = "duration"


class TranscriptSegment(msgspec.Struct):
    """One utterance; times in seconds."""

    id: int
    seek: int
    start: float
    end: float
    text: str
    tokens: list[int]
    """Always empty: they are not told."""
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class ShownTranscript(msgspec.Struct, kw_only=True):
    """An answer as `json` or `verbose_json`."""

    text: str
    usage: DurationUsage
    attune: TranscriptNotes
    task: str | UnsetType = UNSET
    language: str | UnsetType = UNSET
    duration: float | UnsetType = UNSET
    segments: list[TranscriptSegment] | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class HeardRecording:
    """A transcribed recording."""

    spoken: Sequence[Spoken]
    seconds: float
    notes: TranscriptNotes
    help: str
    """The way to help as text; empty where none is called for."""
    language: str
    """The code of the one that was asked for; empty: none."""

    @property
    def text(self) -> str:
        """All that was said."""
        return " ".join(each.found.text for each in self.spoken)

    @property
    def usage(self) -> DurationUsage:
        """How much was transcribed."""
        return DurationUsage(math.ceil(self.seconds))


def show_transcript(heard: HeardRecording, form: str) -> ShownTranscript:
    """The answer as `json` or `verbose_json`."""
    shown = ShownTranscript(text=heard.text, usage=heard.usage, attune=heard.notes)
    if form == "json":
        return shown
    longest = max(heard.spoken, key=lambda each: len(each.found.text), default=None)
    code = heard.language or ("" if longest is None else longest.found.language)
    shown.task, shown.language, shown.duration = "transcribe", language_name(code), round(heard.seconds, 3)
    shown.segments = [
        TranscriptSegment(
            id=number,
            seek=round(each.start_s * 100),
            start=round(each.start_s, 3),
            end=round(each.end_s, 3),
            text=each.found.text,
            tokens=[],
            temperature=each.found.temperature,
            avg_logprob=each.found.log_probability,
            compression_ratio=_compression(each.found.text),
            no_speech_prob=each.found.no_speech,
        )
        for number, each in enumerate(heard.spoken)
    ]
    return shown


def write_transcript(heard: HeardRecording, form: str) -> tuple[str, str]:
    """The answer as `text`, `srt` or `vtt`, and its media type.

    Where help is called for, the way to it is the last paragraph, or the last subtitle.
    """
    if form == "text":
        return "\n\n".join(part for part in (heard.text, heard.help) if part) + "\n", "text/plain"
    cues = [(each.start_s, each.end_s, each.found.text) for each in heard.spoken]
    if heard.help:
        end = cues[-1][1] if cues else 0.0
        cues.append((end, end + _HELP_S, heard.help))
    if form == "srt":
        numbered = (
            f"{number}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{_plain(text)}\n\n"
            for number, (start, end, text) in enumerate(cues, 1)
        )
        return "".join(numbered), "application/x-subrip"
    shown = (
        f"{_clock(start, '.')} --> {_clock(end, '.')}\n{html.escape(_plain(text), quote=False)}\n\n"
        for start, end, text in cues
    )
    return "WEBVTT\n\n" + "".join(shown), "text/vtt"


def delta_event(text: str, notes: TranscriptNotes) -> dict[str, Any]:
    """Words of a streamed answer; where they call for help, the way to it is beside them."""
    shown: dict[str, Any] = {"type": "transcript.text.delta", "delta": text}
    return shown if notes.safety is None else shown | {"attune": notes}


def done_event(heard: HeardRecording) -> dict[str, Any]:
    """The end of a streamed answer."""
    return {
        "type": "transcript.text.done", "text": heard.text, "usage": heard.usage, "attune": heard.notes,
    }  # fmt: skip


def _plain(text: str) -> str:
    """Without what would end a subtitle, or be taken for its times.

    >>> _plain("one\\n\\ntwo --> three")
    'one\\ntwo -> three'
    """
    return "\n".join(line for line in text.replace("-->", "->").splitlines() if line.strip())


def _clock(seconds: float, point: str) -> str:
    """A time of subtitles.

    >>> _clock(3_725.25, ","), _clock(59.9996, ".")
    ('01:02:05,250', '00:01:00.000')
    """
    minutes, milliseconds = divmod(round(seconds * 1000), 60_000)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{milliseconds // 1000:02}{point}{milliseconds % 1000:03}"


def _compression(text: str) -> float:
    """How often the text repeats itself, as Whisper measures it: its bytes by those that zlib makes of them."""
    data = text.encode()
    return round(len(data) / len(zlib.compress(data)), 4)
