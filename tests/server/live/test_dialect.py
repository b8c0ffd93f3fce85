"""Updates of a session, member by member: each holds, or is refused by its name, or is told to be ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from assistant.audio.intake import AudioFormat
from assistant.audio.pcm import Samples
from assistant.audio.transcribe import find_language
from assistant.errors import Invalid
from assistant.server.live.dialect import SessionOptions, UpdateReader
from tests.conftest import House, OpenHouse


def read(session: Any, options: SessionOptions | None = None) -> UpdateReader:
    reader = UpdateReader(options or SessionOptions(), None)
    reader.read({"type": "session.update", "session": session})
    return reader


def codes(reader: UpdateReader) -> list[str]:
    return [fault.code for fault in reader.faults]


class TestTurnDetection:
    @pytest.mark.parametrize(
        ("eagerness", "silence_ms"), [(None, 500), ("auto", 500), ("low", 1000), ("medium", 500), ("high", 300)]
    )
    def test_semantic_vad_is_server_vad_whose_silence_follows_its_eagerness(
        self, eagerness: str | None, silence_ms: int
    ) -> None:
        turns: dict[str, Any] = {"type": "semantic_vad"} | ({} if eagerness is None else {"eagerness": eagerness})
        reader = read({"audio": {"input": {"turn_detection": turns}}})
        assert not reader.faults
        assert reader.options.turns is not None
        assert (reader.options.turns.type, reader.options.turns.silence_duration_ms) == ("server_vad", silence_ms)

    @pytest.mark.parametrize("given", [None, {"type": "none"}])
    def test_none_leaves_it_to_the_client(self, given: Any) -> None:
        assert read({"turn_detection": given}).options.turns is None

    @pytest.mark.parametrize(
        ("name", "given", "said"),
        [
            ("threshold", 1, 0.95),
            ("threshold", 0, 0.05),
            ("silence_duration_ms", 10_000, 5_000),
            ("silence_duration_ms", 0, 100),
            ("prefix_padding_ms", 3_000, 2_000),
            ("prefix_padding_ms", -1, 0),
            ("prefix_padding_ms", 299.6, 300),
        ],
    )
    def test_numbers_outside_their_range_are_moved_to_its_nearest_end(
        self, name: str, given: float, said: float
    ) -> None:
        reader = read({"turn_detection": {"type": "server_vad", name: given}})
        assert not reader.faults
        assert getattr(reader.options.turns, name) == said

    def test_what_is_no_number_is_refused_alone(self) -> None:
        reader = read({"turn_detection": {"threshold": "high", "silence_duration_ms": 700}})
        assert [fault.message for fault in reader.faults] == ["`turn_detection.threshold` is a number"]
        assert reader.options.turns is not None
        assert reader.options.turns.silence_duration_ms == 700


class TestFormat:
    @pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
    def test_of_pcm_may_have_any_rate_of_microphones(self, rate: int) -> None:
        form = {"type": "audio/pcm", "rate": rate}
        assert read({"audio": {"input": {"format": form}}}).options.format == AudioFormat("audio/pcm", rate)

    @pytest.mark.parametrize("member", ["turn_detection", "transcription"])
    def test_holds_though_another_member_is_refused(self, member: str) -> None:
        refused = {"turn_detection": {"type": "manual"}, "transcription": {"languages": ["de", "en"]}}[member]
        given = {"format": {"type": "audio/pcm", "rate": 24_000}, member: refused}
        reader = read({"audio": {"input": given}})
        assert len(reader.faults) == 1
        assert reader.options.format == AudioFormat("audio/pcm", 24_000)

    @pytest.mark.parametrize(
        "session",
        [
            {"audio": {"input": {"format": {"type": "audio/mpeg"}}}},
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": "24000"}}}},
            {"audio": {"input": {"format": {"type": "audio/pcm", "rate": True}}}},
            {"audio": {"format": {"type": "audio/pcm", "rate": 24_000}}},
            {"audio_format": "pcm16"},
        ],
    )
    def test_that_is_not_understood_or_stands_in_the_wrong_place_leaves_none(self, session: Any) -> None:
        reader = read(session)
        assert reader.faults
        assert reader.options.format is None
        assert read({"input_audio_format": "pcm16"}, reader.options).options.format == AudioFormat(
            "audio/pcm", 24_000
        )


class TestNames:
    def test_of_members_that_are_not_known_are_said(self) -> None:
        reader = read({"colour": 1, "audio": {"input": {"loudness": 2}}, "not plain!": 3})
        assert codes(reader) == ["unknown_member"] * 3
        said = " ".join(fault.message for fault in reader.faults)
        assert "`colour`" in said
        assert "`audio.input.loudness`" in said
        assert "not plain" not in said

    def test_outside_the_session_are_said_too(self) -> None:
        reader = UpdateReader(SessionOptions(), None)
        options = reader.read({"type": "transcription_session.update", "input_audio_format": "pcm16"})
        assert "`input_audio_format`" in reader.faults[0].message
        assert "inside `session`" in reader.faults[0].message
        assert options.format is None

    def test_that_mean_nothing_here_are_listed(self) -> None:
        session = {
            "model": "gpt-realtime",
            "audio": {"output": {"voice": "alloy"}, "input": {"noise_reduction": None}},
        }
        reader = read(session)
        assert not reader.faults
        assert sorted(reader.ignored) == ["audio.input.noise_reduction", "audio.output", "model"]

    @pytest.mark.parametrize("session", [{"audio": None}, {"audio": {"input": None}}, {}])
    def test_that_are_null_change_nothing(self, session: Any) -> None:
        reader = read(session)
        assert (reader.faults, reader.options) == ([], SessionOptions())

    @pytest.mark.parametrize("session", [None, [], "audio", 5])
    def test_need_an_object(self, session: Any) -> None:
        assert codes(read(session)) == ["invalid_request"]

    async def test_that_the_server_says_can_be_sent_back(self, house: House) -> None:
        await house.person()
        microphone = await house.stream()
        told = (await microphone.until("session.created"))["session"]
        await microphone.send({"type": "session.update", "session": told})
        again = (await microphone.until("session.updated"))["session"]
        assert again["audio"] == told["audio"]
        assert microphone.of("error") == []


class TestLanguage:
    KNOWN = ("de", "en", "es", "fr", "no", "pt", "yue", "zh")

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ("en-US", "en"), ("en_GB", "en"), ("EN", "en"), ("pt-BR", "pt"), ("zh-Hans-CN", "zh"), ("nb-NO", "no"),
            ("yue-HK", "yue"), ("English", "en"), ("german", "de"), ("Deutsch", "de"), ("fran\u00e7ais", "fr"),
            ("Espa\u00f1ol", "es"), ("deu", "de"), (" en ", "en"), ("", None), ("auto", None), ("und", None),
        ],
    )  # fmt: skip
    def test_is_found_by_its_tag_or_its_name(self, given: str, code: str | None) -> None:
        assert find_language(given, self.KNOWN) == code

    @pytest.mark.parametrize("given", ["tlh", "Klingon", "x-none", "\u65e5\u672c\u8a9e", "1"])
    def test_that_is_not_known_is_refused_with_some_that_are(self, given: str) -> None:
        with pytest.raises(Invalid, match="known are de, en, es") as refused:
            find_language(given, self.KNOWN)
        assert refused.value.code == "unknown_language"
        assert given not in refused.value.message

    @pytest.mark.parametrize(
        ("body", "language"),
        [({"language": "en-US"}, "en"), ({"languages": ["de"]}, "de"), ({"language": ""}, None), ({}, None)],
    )
    async def test_is_said_back_as_it_is_used(
        self, open_house: OpenHouse, body: dict[str, Any], language: str | None
    ) -> None:
        house = await open_house(words=[])
        await house.person()
        microphone = await house.stream()
        session = {"audio": {"input": {"transcription": body}}}
        await microphone.send({"type": "session.update", "session": session})
        told = (await microphone.until("session.updated"))["session"]["audio"]["input"]["transcription"]
        assert told == {"language": language}
        assert microphone.of("error") == []


class TestAudio:
    async def test_of_a_refused_format_is_dropped_and_said_once(self, house: House, recording: Samples) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.send({"type": "session.update", "session": {"input_audio_format": "mp3"}})
        assert (await microphone.until("session.updated"))["session"]["audio"]["input"]["format"] is None
        await microphone.play(recording[: 3 * 16_000])
        await microphone.settle()
        assert [event["error"]["code"] for event in microphone.of("error")] == [
            "unsupported_audio_format",
            "unsupported_audio_format",
            "unknown_event",
        ]
        assert not microphone.of("input_audio_buffer.speech_started")

    @pytest.mark.parametrize(
        ("magic", "name"),
        [
            (b"\x1a\x45\xdf\xa3", "WebM"),
            (b"OggS", "Ogg"),
            (b"RIFF", "WAV"),
            (b"fLaC", "FLAC"),
            (b"ID3\x04", "MP3"),
            (b"\x00\x00\x00\x1cftyp", "MP4"),
        ],
    )
    @pytest.mark.parametrize("form", ["pcm16", "g711_ulaw"])
    async def test_that_is_a_file_is_told_from_samples(
        self, house: House, magic: bytes, name: str, form: str
    ) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.send({"type": "session.update", "session": {"input_audio_format": form}})
        await microphone.until("session.updated")
        for _ in range(3):
            await microphone.send(magic + bytes(range(256)) * 12)
        await microphone.settle()
        first, *rest = [event["error"] for event in microphone.of("error")]
        assert first["code"] == "audio_container"
        assert name in first["message"]
        assert [error["code"] for error in rest] == ["unknown_event"], "said once"

    async def test_of_thirty_seconds_comes_in_one_piece(self, house: House) -> None:
        await house.person()
        microphone = await house.stream()
        session = {"input_audio_format": "pcm16", "turn_detection": None}
        await microphone.send({"type": "session.update", "session": session})
        audio = "AAAA" * (30 * 24_000 * 2 // 3)
        await microphone.send(json.dumps({"type": "input_audio_buffer.append", "audio": audio}))
        await microphone.send({"type": "input_audio_buffer.commit"})
        await microphone.until("input_audio_buffer.committed")
        assert microphone.of("error") == []


class TestItems:
    @pytest.mark.parametrize(
        ("role", "kind", "text"),
        [
            ("assistant", "output_text", "I am furious about these deadlines!"),
            ("system", "input_text", "If the user talks of suicide, say: I want to kill myself is hard to hear."),
        ],
    )
    async def test_that_the_person_did_not_write_are_not_read(
        self, house: House, role: str, kind: str, text: str
    ) -> None:
        await house.person()
        await house.consent("text", "tone")
        microphone = await house.stream()
        item = {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}
        await microphone.send({"type": "conversation.item.create", "item": item})
        shown = (await microphone.until("conversation.item.added"))["item"]
        assert (shown["role"], shown["content"]) == (role, [{"type": kind, "text": text}])
        await microphone.settle()
        kinds = {event["type"] for event in microphone.events}
        assert not kinds & {"policy.safety", "policy.directive", "policy.recommendations"}
        assert house.spy.runs["text"] == 0
        assert await house.call("GET", "/v1/people/ada/mood") is None

    @pytest.mark.parametrize(
        ("item", "code"),
        [
            ({"role": "narrator", "content": [{"type": "input_text", "text": "Hi"}]}, "invalid_request"),
            ({"role": "user", "content": [{"type": "input_audio", "audio": "AAAA"}]}, "unsupported_content"),
            ({"type": "function_call", "content": []}, "invalid_request"),
        ],
    )
    async def test_of_other_kinds_are_refused(self, house: House, item: dict[str, Any], code: str) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.send({"type": "conversation.item.create", "item": item})
        assert (await microphone.until("error"))["error"]["code"] == code
        assert not microphone.of("conversation.item.added")


class TestSubprotocols:
    async def test_that_are_not_known_are_no_reason_to_refuse(self, house: House) -> None:
        await house.person()
        for offered in (["audio.drachtio.org"], ["realtime", "other"], ["other", "realtime"]):
            async with house.client.ws_connect(
                "/v1/realtime?person=ada", headers=house.headers, protocols=offered
            ) as socket:
                assert (await socket.receive_json())["type"] == "session.created"
                assert socket.protocol == ("realtime" if "realtime" in offered else offered[0])
