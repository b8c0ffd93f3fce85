"""`/v1/audio/transcriptions` as OpenAI's API has it: a recording becomes words, by the models of the live stream.

Words are not inference: they need no grant, and no mood is read from them. Neither the recording nor the words are
kept. Where words of crisis were said, the way to help is in the answer, whatever its format.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import get_args, get_type_hints

import msgspec
from aiohttp import web

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples
from assistant.audio.segment import SegmentRules
from assistant.chat.embedded import help_text
from assistant.chat.relay import DONE, event
from assistant.conversation.dictation import Dictation, Transcription
from assistant.conversation.recording import Spoken, transcribe_recording
from assistant.errors import AssistantError, Busy, Invalid, NotFound, TooLarge, Unavailable
from assistant.profile.person import Person, Profile
from assistant.server.contract.shapes import show_help
from assistant.server.contract.transcript import (
    HeardRecording,
    TranscriptionForm,
    TranscriptNotes,
    delta_event,
    done_event,
    show_transcript,
    write_transcript,
)
from assistant.server.http.caller import Caller
from assistant.server.http.connection import begin_events, gone, while_connected
from assistant.server.http.form import Form, read_form
from assistant.server.http.openai import error_event
from assistant.server.http.route import Route, enter, noted, respond
from assistant.server.live.dialect import SessionOptions, UpdateReader
from assistant.services import Services
from assistant.text.crisis import Safety, notice_crisis

LONGEST_S = 600.0
"""Longest recording."""
_AT_ONCE = 4
"""Recordings in memory: each takes up to a hundred megabytes."""
_FORMATS = get_args(get_type_hints(TranscriptionForm)["response_format"])
_CHUNKING = {f"chunking_strategy[{name}]": name for name in (
    "type", "threshold", "prefix_padding_ms", "silence_duration_ms", "eagerness",
)}  # fmt: skip
_KNOWN = frozenset(TranscriptionForm.__struct_fields__) - {"file"} | _CHUNKING.keys()


@dataclass(slots=True)
class Recordings:
    """How many recordings are transcribed now."""

    count: int = 0

    @contextlib.contextmanager
    def admitted(self) -> Iterator[None]:
        """Count one more. Raises `Busy` (`too_many_recordings`)."""
        if self.count >= _AT_ONCE:
            raise Busy("too many recordings are being transcribed; try again soon", code="too_many_recordings")
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


RECORDINGS: web.AppKey[Recordings] = web.AppKey("recordings", Recordings)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a form asks for."""

    format: str
    stream: bool
    wanted: Transcription
    rules: SegmentRules
    ignored: list[str]
    user: str | None


@dataclass(slots=True)
class _Transcript:
    """What was found so far."""

    seconds: float
    profile: Profile
    asked: _Asked
    spoken: list[Spoken] = field(default_factory=list)
    safety: Safety | None = None
    incomplete: str | None = None

    def add(self, spoken: Spoken) -> None:
        self.spoken.append(spoken)
        self.notice(spoken.found.text)

    def notice(self, text: str) -> None:
        """Look for words of crisis."""
        self.safety = self.safety or notice_crisis(text, self.profile.country)

    @property
    def notes(self) -> TranscriptNotes:
        """What is ours in the answer."""
        safety = None if self.safety is None else show_help(self.safety)
        return TranscriptNotes(safety=safety, ignored=self.asked.ignored, incomplete=self.incomplete)

    def end(self) -> HeardRecording:
        """All of it. A statement may go over a pause."""
        self.notice(" ".join(each.found.text for each in self.spoken))
        shown = "" if self.safety is None else help_text(self.safety, self.profile.language)
        return HeardRecording(self.spoken, self.seconds, self.notes, shown, self.asked.wanted.language or "")


async def post_transcription(request: web.Request) -> web.StreamResponse:
    """The words of a recording, which is neither kept nor read for a mood."""
    services, caller = await enter(request)
    dictation = services.conversations.dictation
    if dictation is None:
        raise Unavailable("this server has no transcriber", code="transcriber_missing")
    response: web.StreamResponse = web.Response()  # for nobody
    async with while_connected(request):
        with request.app[RECORDINGS].admitted():
            form = await read_form(request, "file", services.settings.max_recording_bytes)
            asked = _read(form, dictation)
            person = await _person(request, services, caller, asked.user)
            samples = await _decode(form)
            profile = Profile() if person is None else person.profile
            transcript = _Transcript(len(samples) / SAMPLE_RATE, profile, asked)
            words = transcribe_recording(samples, asked.wanted, asked.rules, services.conversations.vad, dictation)
            async with contextlib.aclosing(words):
                if asked.stream:
                    response = await _streamed(request, transcript, words)
                else:
                    response = await _whole(transcript, words)
    return response


async def _whole(transcript: _Transcript, words: AsyncIterator[Spoken]) -> web.Response:
    try:
        async for spoken in words:
            transcript.add(spoken)
    except Exception as error:
        _let_help_through(transcript, error)
    heard, form = transcript.end(), transcript.asked.format
    if form in ("json", "verbose_json"):
        return respond(show_transcript(heard, form))
    text, kind = write_transcript(heard, form)
    response = web.Response(text=text, content_type=kind, charset="utf-8")
    if heard.notes.ignored:
        response.headers["Attune-Ignored"] = ", ".join(heard.notes.ignored)
    return response


async def _streamed(
    request: web.Request, transcript: _Transcript, words: AsyncIterator[Spoken]
) -> web.StreamResponse:
    first = await anext(words, None)  # what goes wrong before this is an answer with another status
    response = await begin_events(request)
    try:
        if first is not None:
            await _tell(response, transcript, first)
            async for spoken in words:
                await _tell(response, transcript, spoken)
    except ConnectionError:
        raise
    except Exception as error:
        if gone(request):
            raise
        if transcript.safety is None:
            await response.write(event(error_event(error)))
            await response.write_eof()
            return response
        _let_help_through(transcript, error)
    await response.write(event(msgspec.json.encode(done_event(transcript.end()))) + DONE)
    await response.write_eof()
    return response


async def _tell(response: web.StreamResponse, transcript: _Transcript, spoken: Spoken) -> None:
    text = (" " if transcript.spoken else "") + spoken.found.text
    transcript.add(spoken)
    await response.write(event(msgspec.json.encode(delta_event(text, transcript.notes))))


def _let_help_through(transcript: _Transcript, error: Exception) -> None:
    """Go on with what was found where it calls for help, and say that it is not all."""
    if transcript.safety is None:
        raise error
    transcript.incomplete = error.code if isinstance(error, AssistantError) else "unavailable"


async def _person(request: web.Request, services: Services, caller: Caller, user: str | None) -> Person | None:
    """Whose way to help is shown: named by `?person=`, or as in a chat, where one who is not known is nobody."""
    named = request.query.get("person")
    person = caller.holder if not user else None
    if named is not None:
        person = await caller.named(services, named)
    elif user:
        with contextlib.suppress(NotFound, Invalid):
            person = await caller.named(services, user)
    if person is not None:
        noted(request, services, caller, person.pseudonym)
    return person


async def _decode(form: Form) -> Samples:
    from assistant.audio.decode import read_audio  # takes 0.1 s and 23 MB: only where it is needed

    if form.file is None:
        raise Invalid("the form has no `file`", code="form_invalid", param="file")
    data, form.file = form.file, None
    try:
        return await asyncio.to_thread(read_audio, data, longest_s=LONGEST_S)
    except Invalid as error:
        if error.code == "audio_too_long":
            about = f"a recording may have at most {LONGEST_S:g} s"
            raise TooLarge(about, code="audio_too_long", param="file") from None
        if error.code == "audio_not_finite":
            about = "the recording contains samples that are not numbers"
            raise Invalid(about, code="audio_not_finite", param="file") from None
        about = "the file holds no audio that can be read; send WAV, FLAC, MP3, MP4, M4A, Ogg or WebM"
        raise Invalid(about, code="audio_unreadable", param="file") from None


def _read(form: Form, dictation: Dictation) -> _Asked:
    """Check every field of the form. Raises `Invalid`, which names the field."""
    form.refuse_others(_KNOWN)
    shape = form.one("response_format") or "json"
    if shape not in _FORMATS:
        raise _invalid("response_format", f"is one of {', '.join(_FORMATS)}")
    stream = {"true": True, "1": True, "false": False, "0": False}.get((form.one("stream") or "false").lower())
    if stream is None:
        raise _invalid("stream", "is `true` or `false`")
    if stream and shape not in ("json", "text"):
        raise _invalid("stream", "goes with the `response_format` `json` or `text`")
    for each in (granularities := form.fields.get("timestamp_granularities", [])):
        if each != "segment":
            raise _invalid("timestamp_granularities", "can be `segment`; times of single words are not known")
    if granularities and shape != "verbose_json":
        raise _invalid("timestamp_granularities", "goes with the `response_format` `verbose_json`")
    ignored = [name for name in ("model", "prompt", "keywords") if form.fields.get(name)]
    if _number(form, "temperature", 0.0, 1.0):
        ignored.append("temperature")
    user = form.one("safety_identifier") or form.one("user")
    return _Asked(shape, stream, Transcription(_language(form, dictation)), _rules(form), ignored, user)


def _language(form: Form, dictation: Dictation) -> str | None:
    given = [*form.fields.get("language", []), *form.fields.get("languages", [])]
    codes = set()
    for each in given:
        try:
            codes.add(dictation.find_language(each))
        except Invalid as error:
            raise Invalid(error.message, code="unknown_language", param="language") from None
    if len(codes) > 1:
        raise Invalid("name one language at most", code="unknown_language", param="languages")
    return codes.pop() if codes else None


def _rules(form: Form) -> SegmentRules:
    """How speech is cut; the same limits hold as in a stream."""
    plain = form.one("chunking_strategy")
    if plain not in (None, "auto"):
        raise _invalid("chunking_strategy", "is `auto`, or server VAD")
    turns: dict[str, str | float] = {}
    for name, member in _CHUNKING.items():
        value = form.one(name)
        if value is not None:
            numeric = member not in ("type", "eagerness")
            turns[member] = _number(form, name, 0.0, 1e6) if numeric else value
    reader = UpdateReader(SessionOptions(), None)
    options = reader.read({"session": {"turn_detection": turns}}) if turns else SessionOptions()
    if reader.faults or options.rules is None:
        raise _invalid("chunking_strategy", "is `auto`, or server VAD")
    return options.rules


def _number(form: Form, name: str, least: float, most: float) -> float:
    given = form.one(name) or "0"
    try:
        number = float(given)
    except ValueError:
        number = -1.0
    if not least <= number <= most:
        raise _invalid(name, f"is a number from {least:g} to {most:g}")
    return number


def _invalid(name: str, why: str) -> Invalid:
    return Invalid(f"`{name}` {why}", code="form_invalid", param=name)


ROUTES: tuple[Route, ...] = (
    Route(
        "POST", "/v1/audio/transcriptions", post_transcription, TranscriptionForm,
        scope="infer", personal=True, openai=True, form=True,
    ),
)  # fmt: skip
