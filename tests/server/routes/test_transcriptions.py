"""Recordings become words as OpenAI's API has it, by its own client; no mood is read, and help is always told."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import av
import numpy as np
import openai
import pytest
import soundfile

from assistant.audio.pcm import Samples
from tests.conftest import House, OpenHouse

CRISIS = "I want to kill myself."
PATH = "/v1/audio/transcriptions"

_opened: list[str] | None = None


def _note_opened(event: str, args: tuple[Any, ...]) -> None:
    """Note files that Python opens to write, while somebody wants to know."""
    if event == "open" and _opened is not None and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR):
        _opened.append(str(args[0]))


sys.addaudithook(_note_opened)


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    return await open_house(words=["First words.", "Second words."])


@pytest.fixture
async def client(house: House) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def two(recording: Samples) -> Samples:
    """Two utterances."""
    pause = np.zeros(16_000, dtype=np.float32)
    return np.concatenate([recording[: 4 * 16_000], pause, recording[8 * 16_000 : 11 * 16_000], pause])


def encoded(samples: Samples, form: str) -> bytes:
    file = io.BytesIO()
    if form in ("wav", "flac", "mp3", "ogg"):
        soundfile.write(file, samples, 16_000, format=form.upper())
        return file.getvalue()
    container, codec = {"m4a": ("ipod", "aac"), "webm": ("webm", "libopus"), "mp4": ("mp4", "aac")}[form]
    with av.open(file, "w", format=container) as opened:
        stream: Any = opened.add_stream(codec, rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], format="flt", layout="mono")
        frame.sample_rate = 16_000
        opened.mux([*stream.encode(frame), *stream.encode(None)])
    return file.getvalue()


@pytest.fixture(scope="module")
def wav(two: Samples) -> bytes:
    return encoded(two, "wav")


def form_of(file: bytes | None, *fields: tuple[str, str]) -> aiohttp.FormData:
    form = aiohttp.FormData(default_to_multipart=True)
    if file is not None:
        form.add_field("file", file, filename="a.wav", content_type="audio/wav")
    for name, value in fields:
        form.add_field(name, value)
    return form


async def refused(house: House, form: Any, status: int = 400, **more: Any) -> dict[str, Any]:
    more.setdefault("headers", house.headers)
    async with house.client.post(PATH, data=form, **more) as answer:
        told = await answer.json()
        assert answer.status == status, told
        assert set(told["error"]) == {"message", "type", "param", "code"}
        return dict(told["error"])


class TestOpenaisClient:
    async def test_gets_json(self, client: openai.AsyncOpenAI, wav: bytes) -> None:
        heard = await client.audio.transcriptions.create(file=("a.wav", wav), model="whisper-1", prompt="Austen")
        assert heard.text == "First words. Second words."
        assert heard.usage is not None
        assert (heard.usage.type, heard.usage.seconds) == ("duration", 9)  # type: ignore[union-attr]
        ours = heard.attune  # type: ignore[attr-defined]
        assert ours == {"safety": None, "ignored": ["model", "prompt"], "incomplete": None}

    async def test_gets_verbose_json(self, client: openai.AsyncOpenAI, house: House, wav: bytes) -> None:
        heard = await client.audio.transcriptions.create(
            file=("a.wav", wav),
            model="whisper-1",
            language="de-AT",
            response_format="verbose_json",
            timestamp_granularities=["segment"],
            temperature=0,
        )
        assert (heard.text, heard.language, heard.duration) == ("First words. Second words.", "german", 9.0)
        assert heard.segments is not None
        first, second = heard.segments
        assert (first.id, first.text, second.id, second.text) == (0, "First words.", 1, "Second words.")
        assert 0 <= first.start < first.end <= second.start < second.end <= 9.0
        assert second.seek == round(second.start * 100)
        assert first.avg_logprob == pytest.approx(-0.1)
        assert {call[1] for call in house.scribe.asked} == {"de"}

    async def test_gets_text(self, client: openai.AsyncOpenAI, wav: bytes) -> None:
        heard = await client.audio.transcriptions.create(file=wav, model="m", response_format="text")
        assert heard == "First words. Second words.\n"

    async def test_gets_subtitles(self, open_house: OpenHouse, wav: bytes) -> None:
        time = r"00:00:\d\d[.,]\d{3}"
        for form, words in (("srt", "<b> & one"), ("vtt", "&lt;b&gt; &amp; one")):
            house = await open_house(words=["<b> & one", "two --> three"])
            async with openai.AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1") as client:
                heard: Any = await client.audio.transcriptions.create(file=wav, model="m", response_format=form)  # type: ignore[call-overload]
            if form == "srt":
                wanted = rf"1\n{time} --> {time}\n{words}\n\n2\n{time} --> {time}\ntwo -> three\n\n"
            else:
                wanted = rf"WEBVTT\n\n{time} --> {time}\n{words}\n\n{time} --> {time}\ntwo -&gt; three\n\n"
            assert re.fullmatch(wanted, heard), heard
            assert ("," in heard) == (form == "srt")

    @pytest.mark.parametrize("form", ["json", "text"])
    async def test_gets_a_stream(self, client: openai.AsyncOpenAI, wav: bytes, form: Any) -> None:
        stream: Any = await client.audio.transcriptions.create(
            file=wav, model="gpt-4o-transcribe", stream=True, response_format=form
        )
        events = [event async for event in stream]
        assert [event.type for event in events] == ["transcript.text.delta"] * 2 + ["transcript.text.done"]
        assert "".join(event.delta for event in events[:-1]) == events[-1].text == "First words. Second words."
        assert events[-1].attune["ignored"] == ["model"]

    async def test_may_say_how_speech_is_cut(self, client: openai.AsyncOpenAI, wav: bytes, house: House) -> None:
        await client.audio.transcriptions.create(file=wav, model="m", chunking_strategy="auto")
        few = len(house.scribe.asked)
        await client.audio.transcriptions.create(
            file=wav,
            model="m",
            chunking_strategy={"type": "server_vad", "silence_duration_ms": 100, "threshold": 0.6},
        )
        assert len(house.scribe.asked) - few > few

    async def test_is_told_what_is_wrong(self, client: openai.AsyncOpenAI) -> None:
        with pytest.raises(openai.BadRequestError, match="holds no audio") as raised:
            await client.audio.transcriptions.create(file=b"nonsense", model="m")
        assert (raised.value.code, raised.value.param) == ("audio_unreadable", "file")


@pytest.mark.parametrize("form", ["flac", "mp3", "ogg", "m4a", "webm", "mp4"])
async def test_common_formats_are_read(house: House, two: Samples, form: str) -> None:
    heard = await house.call("POST", PATH, data=form_of(encoded(two, form)))
    assert heard["text"] == "First words. Second words."


async def test_silence_has_no_words(house: House) -> None:
    silence = encoded(np.zeros(32_000, dtype=np.float32), "wav")
    for form in ("json", "verbose_json"):
        heard = await house.call("POST", PATH, data=form_of(silence, ("response_format", form)))
        assert heard["text"] == ""
    assert heard["segments"] == []
    assert not house.scribe.asked


NOT_UNDERSTOOD: list[tuple[list[tuple[str, str]], str, str | None]] = [
    ([("diarize", "true")], "unknown_member", "diarize"),
    ([("include[]", "logprobs")], "unknown_member", "include"),
    ([("known_speaker_names[]", "Bo")], "unknown_member", "known_speaker_names"),
    ([("my secret 7", "1")], "unknown_member", None),
    ([("response_format", "diarized_json")], "form_invalid", "response_format"),
    ([("response_format", "json"), ("response_format", "text")], "form_invalid", "response_format"),
    ([("timestamp_granularities[]", "segment")], "form_invalid", "timestamp_granularities"),
    (
        [("response_format", "verbose_json"), ("timestamp_granularities[]", "word")],
        "form_invalid",
        "timestamp_granularities",
    ),
    ([("stream", "yes")], "form_invalid", "stream"),
    ([("stream", "true"), ("response_format", "srt")], "form_invalid", "stream"),
    ([("temperature", "hot")], "form_invalid", "temperature"),
    ([("temperature", "1.5")], "form_invalid", "temperature"),
    ([("temperature", "nan")], "form_invalid", "temperature"),
    ([("language", "tlh")], "unknown_language", "language"),
    ([("language", "de"), ("languages[]", "en")], "unknown_language", "languages"),
    ([("chunking_strategy", "none")], "form_invalid", "chunking_strategy"),
    ([("chunking_strategy[type]", "whole")], "form_invalid", "chunking_strategy"),
    ([("chunking_strategy[type]", "none")], "form_invalid", "chunking_strategy"),
    ([("chunking_strategy[threshold]", "x")], "form_invalid", "chunking_strategy[threshold]"),
    ([("file", "a second one")], "form_invalid", "file"),
]


async def test_what_is_not_understood_is_refused_by_name(house: House, wav: bytes) -> None:
    for fields, code, param in NOT_UNDERSTOOD:
        told = await refused(house, form_of(wav, *fields))
        assert (told["code"], told["param"]) == (code, param), fields
    assert not house.scribe.asked


@pytest.mark.parametrize(
    "fields",
    [
        [("temperature", "0.0"), ("language", ""), ("prompt", "")],
        [("stream", "false"), ("languages[]", "de"), ("languages", "de-CH")],
        [("user", "nobody known"), ("response_format", "json")],
    ],
)
async def test_what_means_nothing_or_the_default_is_taken(
    house: House, wav: bytes, fields: list[tuple[str, str]]
) -> None:
    assert (await house.call("POST", PATH, data=form_of(wav, *fields)))["attune"]["ignored"] == []


async def test_what_is_ignored_is_said_in_every_format(house: House, wav: bytes) -> None:
    fields = [("keywords[]", "Dashwood"), ("temperature", "0.5"), ("response_format", "vtt")]
    async with house.client.post(PATH, data=form_of(wav, *fields), headers=house.headers) as answer:
        assert answer.headers["Attune-Ignored"] == "keywords, temperature"
        assert answer.content_type == "text/vtt"


BAD_FORMS: list[tuple[bytes, str]] = [
    (b"{}", "application/json"),
    (b"file=a", "application/x-www-form-urlencoded"),
    (b"", "multipart/form-data"),
    (b"--x\r\n", "multipart/form-data; boundary=x"),
    (b"--x--\r\n", "multipart/form-data; boundary=x"),
    (b"hello", "multipart/form-data; boundary=x"),
    (b"--x\r\n\r\nhello\r\n--x--\r\n", "multipart/form-data; boundary=x"),
    (
        b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\n\xff\xfe\r\n--x--\r\n',
        "multipart/form-data; boundary=x",
    ),
    (
        b'--x\r\nContent-Disposition: form-data; name="file"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
        b"AAAA\r\n--x--\r\n",
        "multipart/form-data; boundary=x",
    ),
    (
        b"--x\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\na\r\n--y--\r\n--x--\r\n",
        "multipart/form-data; boundary=x",
    ),
]


class TestBadForms:
    async def test_without_audio(self, house: House) -> None:
        for file in (None, b"", b"RIFF", b"ID3", b"\x00" * 1_000, b"#!AMR\n", b"OggS" * 99):
            told = await refused(house, form_of(file, ("model", "m")))
            assert told["param"] == "file", file

    async def test_are_refused_clearly(self, house: House) -> None:
        for body, kind in BAD_FORMS:
            told = await refused(house, body, headers=house.headers | {"Content-Type": kind})
            assert told["code"] == "form_invalid", body

    async def test_that_are_too_many_or_too_large(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[], max_recording_bytes=10_000)
        many = form_of(None, *((f"a{number}", "1") for number in range(100)))
        assert (await refused(house, many))["code"] == "form_invalid"
        for form in (form_of(bytes(10_001)), form_of(None, ("prompt", "x" * 70_000))):
            assert (await refused(house, form, 413))["code"] == "too_large"

        async def pieces() -> AsyncIterator[bytes]:
            yield b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n'
            for _ in range(3):
                yield bytes(10_000)

        kind = {"Content-Type": "multipart/form-data; boundary=x"}
        assert (await refused(house, pieces(), 413, headers=house.headers | kind))["code"] == "too_large"

    async def test_of_a_recording_that_is_too_long(self, house: House) -> None:
        file = io.BytesIO()
        soundfile.write(file, np.zeros(601 * 8_000, dtype=np.int16), 8_000, format="FLAC")
        told = await refused(house, form_of(file.getvalue()), 413)
        assert told["code"] == "audio_too_long"
        assert "600 s" in told["message"]


async def test_a_server_without_a_transcriber_says_so(open_house: OpenHouse, wav: bytes) -> None:
    house = await open_house()
    assert (await refused(house, form_of(wav), 503))["code"] == "transcriber_missing"


async def test_more_at_once_than_there_is_memory_for_are_refused(open_house: OpenHouse, wav: bytes) -> None:
    house = await open_house(words=[])
    house.scribe.may_go.clear()
    waiting = [
        asyncio.create_task(house.call("POST", PATH, data=form_of(wav), headers=house.headers)) for _ in range(4)
    ]
    async with asyncio.timeout(30):
        while not house.scribe.asked:  # noqa: ASYNC110  # nothing tells that it waits
            await asyncio.sleep(0.01)
    assert (await refused(house, form_of(wav), 503))["code"] == "too_many_recordings"
    house.scribe.may_go.set()
    await asyncio.gather(*waiting)
    await house.call("POST", PATH, data=form_of(wav))


class TestLaws:
    async def test_words_need_no_grant_and_no_mood_is_read(self, open_house: OpenHouse, wav: bytes) -> None:
        house = await open_house(words=["I am so stressed by all of this."] * 4)
        await house.person()
        for path in (PATH, f"{PATH}?person=ada"):
            await house.call("POST", path, data=form_of(wav, ("user", "ada")))
        await house.consent("voice", "tone")
        await house.consent("text", "tone")
        await house.call("POST", f"{PATH}?person=ada", data=form_of(wav))
        assert house.spy.affect == 0
        assert await house.call("GET", "/v1/people/ada/mood") is None

    async def test_nothing_touches_the_disk(self, house: House, recording: Samples) -> None:
        global _opened
        noise = np.random.default_rng(0).uniform(-0.1, 0.1, 60 * 16_000).astype(np.float32)
        large = encoded(np.concatenate([recording, noise]), "wav")
        assert len(large) > 2_000_000
        body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + large + b"\r\n--x--\r\n"
        _opened = []
        try:
            kind = {"Content-Type": "multipart/form-data; boundary=x"}
            await house.call("POST", PATH, data=io.BytesIO(body), headers=house.headers | kind)
            assert _opened == []
            with tempfile.TemporaryFile():
                assert _opened, "it would be seen"
        finally:
            _opened = None

    async def test_a_person_who_is_not_there_is_told_and_a_users_name_is_not_asked_for(
        self, house: House, wav: bytes
    ) -> None:
        told = await refused(house, form_of(wav), 404, params={"person": "nobody"})
        assert told["code"] == "person_unknown"

    async def test_the_access_log_notes_it(self, house: House, wav: bytes) -> None:
        await house.person()
        await house.call("POST", f"{PATH}?person=ada", data=form_of(wav))
        assert f"POST {PATH}" in json.dumps(await house.call("GET", "/v1/people/ada/access"))

    @pytest.mark.parametrize("named", ["query", "user", "nobody"])
    async def test_words_of_crisis_lead_to_help(self, open_house: OpenHouse, wav: bytes, named: str) -> None:
        house = await open_house(words=["Well.", CRISIS], affect="absent")
        await house.person(country="DE", language="de")
        path = f"{PATH}?person=ada" if named == "query" else PATH
        fields = [("user", "ada")] if named == "user" else []
        heard = await house.call("POST", path, data=form_of(wav, *fields))
        safety = heard["attune"]["safety"]
        assert (safety["rule"], heard["text"]) == ("suicide_intent", f"Well. {CRISIS}")
        assert ("0800" in str(safety["resources"])) == (named != "nobody")

    @pytest.mark.parametrize("form", ["text", "srt", "vtt"])
    async def test_help_is_at_the_end_of_what_has_no_members(
        self, open_house: OpenHouse, wav: bytes, form: str
    ) -> None:
        house = await open_house(words=["Well.", CRISIS])
        await house.person(country="US")
        fields = [("user", "ada"), ("response_format", form)]
        async with house.client.post(PATH, data=form_of(wav, *fields), headers=house.headers) as answer:
            heard = await answer.text()
        assert heard.index(CRISIS) < heard.index("988")
        if form != "text":
            assert heard.count("-->") == 3

    @pytest.mark.parametrize("stream", ["false", "true"])
    @pytest.mark.parametrize("form", ["json", "text"])
    async def test_help_comes_though_the_rest_fails(
        self, open_house: OpenHouse, wav: bytes, stream: str, form: str
    ) -> None:
        house = await open_house(words=[CRISIS])
        asked = [("user", "ada"), ("stream", stream), ("response_format", form)]
        house.scribe.transcribe = _failing_after_one(house)  # type: ignore[method-assign]
        async with house.client.post(PATH, data=form_of(wav, *asked), headers=house.headers) as answer:
            assert answer.status == 200
            heard = await answer.text()
        assert "suicide_intent" in heard or "crisis line" in heard.lower() or "help" in heard.lower()
        if (stream, form) != ("false", "text"):
            assert '"incomplete":"unavailable"' in heard

    async def test_a_stream_tells_help_with_the_words_that_call_for_it(
        self, open_house: OpenHouse, wav: bytes
    ) -> None:
        house = await open_house(words=[CRISIS, "Bye."])
        async with house.client.post(PATH, data=form_of(wav, ("stream", "true")), headers=house.headers) as answer:
            lines = (await answer.text()).split("\n\n")
        first = json.loads(lines[0].removeprefix("data: "))
        assert first["attune"]["safety"]["rule"] == "suicide_intent"


def _failing_after_one(house: House) -> Any:
    transcribe = house.scribe.transcribe

    async def failing(heard: Any, **options: Any) -> Any:
        if house.scribe.asked:
            raise RuntimeError("broken")
        return await transcribe(heard, **options)

    return failing


@pytest.mark.parametrize("stream", ["false", "true"])
async def test_a_failure_in_the_middle_is_an_error_not_half_a_text(
    open_house: OpenHouse, wav: bytes, stream: str
) -> None:
    house = await open_house(words=["Well."])
    house.scribe.transcribe = _failing_after_one(house)  # type: ignore[method-assign]
    async with house.client.post(PATH, data=form_of(wav, ("stream", stream)), headers=house.headers) as answer:
        told = await answer.text()
        assert answer.status == (200 if stream == "true" else 500)
    assert '"error":{' in told
    assert "transcript.text.done" not in told


async def test_a_page_of_another_origin_may_ask(open_house: OpenHouse, wav: bytes) -> None:
    house = await open_house(words=[], cors_origins="https://app.example.com")
    origin = {"Origin": "https://app.example.com"}
    for stream in ("false", "true"):
        form = form_of(wav, ("stream", stream))
        async with house.client.post(PATH, data=form, headers=house.headers | origin) as answer:
            assert answer.headers["Access-Control-Allow-Origin"] == origin["Origin"]


async def test_the_description_shows_the_form(house: House) -> None:
    described = (await house.call("GET", "/openapi.json"))["paths"][PATH]["post"]
    assert list(described["requestBody"]["content"]) == ["multipart/form-data"]


@pytest.mark.slow
async def test_the_served_models_find_the_words(open_house: OpenHouse, recording: Samples) -> None:
    house = await open_house(transcriber_model="transcriber")
    form = form_of(encoded(recording, "wav"), ("response_format", "verbose_json"))
    heard = await house.call("POST", PATH, data=form)
    assert "dashwood" in heard["text"].lower() or len(heard["text"].split()) > 20, heard["text"]
    assert heard["language"] == "english"
