"""What an app is told of calls: words, help in a crisis, and what was not understood."""

from __future__ import annotations

import base64
from typing import Any

import aiohttp
import numpy as np
import pytest
import soxr

from assistant.audio.pcm import Samples, to_pcm16
from assistant.server.live.twilio_signature import sign
from tests.conftest import House, Microphone, OpenHouse
from tests.server.live.test_calls import QUIET, Call, companded, dial

CRISIS = "I want to kill myself"
VONAGE = {"event": "websocket:connected", "content-type": "audio/l16;rate=16000"}


async def _feed(house: House, query: str = "", headers: dict[str, str] | None = None) -> Microphone:
    feed = Microphone(await house.client.ws_connect(f"/v1/calls{query}", headers=headers or house.headers))
    await feed.until("calls.opened")
    return feed


def _heard(feed: Microphone, kind: str) -> list[dict[str, Any]]:
    return [told for told in feed.of("call.event") if told["event"]["type"] == kind]


async def _call(house: House, recording: Samples, **parameters: str) -> None:
    call = await dial(house)
    await call.start({"key": house.key, "person": "ada", **parameters})
    await call.say(recording[: 6 * 16_000])
    assert await call.stop() == (1000, "")


class TestCrisis:
    @pytest.mark.parametrize("affect", ["present", "absent"])
    async def test_words_of_crisis_in_a_call_lead_to_help_and_to_a_decision_without_any_grant(
        self, open_house: OpenHouse, recording: Samples, affect: str
    ) -> None:
        house = await open_house(words=[CRISIS], affect=affect)
        await house.person(country="US")
        feed = await _feed(house)
        await _call(house, recording, transcription="on")
        assert (await feed.until("call.ended"))["reason"] == ""
        (help_, *_), (directive, *_) = _heard(feed, "policy.safety"), _heard(feed, "policy.directive")
        assert "988" in help_["event"]["safety"]["resources"][0]
        assert (help_["person"], help_["track"], help_["call"]) == ("ada", "inbound", "CA" + "1" * 32)
        assert house.spy.affect == 0, "no grant, no inference"
        decision = directive["event"]["decision"]
        why = await house.call("GET", f"/v1/decisions/{decision}/explain")
        assert "safety" in [reason["code"] for reason in why["tone"]["reasons"]]
        told = _heard(feed, "conversation.item.input_audio_transcription.completed")
        assert told[0]["event"]["transcript"] == CRISIS

    async def test_help_that_nobody_listened_for_waits_for_the_first_who_does(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=[CRISIS])
        await house.person(country="US")
        await house.person("bob")
        await _call(house, recording, transcription="on")
        other = await _feed(house, "?person=bob")
        feed = await _feed(house)
        assert (await feed.until("call.event"))["event"]["type"] == "policy.safety"
        assert [event["type"] for event in other.events] == ["calls.opened"]

    async def test_of_somebody_who_was_erased_no_help_waits(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=[CRISIS])
        await house.person()
        await _call(house, recording, transcription="on")
        await house.call("DELETE", "/v1/people/ada", status=204)
        feed = await _feed(house)
        await feed.send("anything")
        await feed.until("error")
        assert feed.of("call.event") == []

    async def test_a_caller_who_hangs_up_in_the_middle_of_a_sentence_is_heard_to_its_end(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=[CRISIS])
        await house.person()
        feed = await _feed(house)
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", "transcription": "on"})
        await call.say(recording[:32_000])
        await call.socket.close()
        await feed.until("call.ended")
        assert len(_heard(feed, "policy.safety")) == 1


class TestTranscription:
    @pytest.mark.parametrize("said", [{}, {"transcription": "off"}, {"transcription": ""}])
    async def test_is_off_where_nobody_asks_for_it(
        self, open_house: OpenHouse, recording: Samples, said: dict[str, str]
    ) -> None:
        house = await open_house(words=[CRISIS])
        await house.person()
        feed = await _feed(house)
        await _call(house, recording, **said)
        await feed.until("call.ended")
        assert feed.of("call.event") == []
        assert (house.spy.runs, house.scribe.asked) == ({}, [])
        assert feed.of("call.started")[0]["tracks"][0]["transcription"] is False

    async def test_each_side_asks_for_itself_and_says_its_language(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=["hello"])
        await house.person("ada")
        await house.person("bob")
        feed = await _feed(house)
        call = await dial(house)
        await call.start(
            {"key": house.key, "person": "ada", "outbound_person": "bob", "outboundTranscription": "On",
             "Outbound-Language": "de-DE", "FirstName": "Jane", "x 1": "y"}
        )  # fmt: skip
        await call.say(recording[: 4 * 16_000], "inbound")
        await call.say(recording[: 4 * 16_000], "outbound")
        await call.stop()
        await feed.until("call.ended")
        started = feed.of("call.started")[0]
        assert [(t["person"], t["transcription"], t["language"]) for t in started["tracks"]] == [
            ("ada", False, None),
            ("bob", True, "de"),
        ]
        assert started["ignored"] == ["FirstName"], "named, where it is a plain word"
        assert {told["track"] for told in feed.of("call.event")} == {"outbound"}
        assert {language for _, language, _ in house.scribe.asked} == {"de"}

    @pytest.mark.parametrize(
        ("said", "reason"),
        [
            ({"transcription": "maybe"}, "invalid_request: transcription"),
            ({"outbound_person": "ada", "outbound_transcription": "de"}, "invalid_request: outbound_transcription"),
            ({"transcription": "on", "language": "tlh"}, "unknown_language"),
        ],
    )
    async def test_what_is_no_answer_is_refused_by_name(
        self, open_house: OpenHouse, said: dict[str, str], reason: str
    ) -> None:
        house = await open_house(words=[])
        await house.person()
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", **said})
        code, told = await call.ended()
        assert (code, told.startswith(reason)) == (1008, True)

    async def test_where_there_is_no_transcriber_that_is_said(self, house: House) -> None:
        await house.person()
        feed = await _feed(house)
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", "transcription": "on"})
        assert (await feed.until("call.started"))["tracks"][0]["transcription"] is False


class TestWhatIsTold:
    async def test_a_notice_that_is_not_the_current_one(self, house: House) -> None:
        await house.person()
        feed = await _feed(house)
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", "notice": "0"})
        assert (await feed.until("call.started"))["tracks"][0]["acknowledged"] is False
        assert _heard(feed, "error")[0]["event"]["error"]["code"] == "notice_outdated"

    async def test_what_is_no_message_is_told_once(self, house: House) -> None:
        await house.person()
        feed = await _feed(house)
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada"})
        for broken in ("no JSON", "{", '{"event": "unheard of"}', '{"event": "media"}'):
            await call.socket.send_str(broken)
        await call.stop()
        await feed.until("call.ended")
        codes = [told["event"]["error"]["code"] for told in _heard(feed, "error")]
        assert codes == ["invalid_json", "invalid_request"]

    async def test_estimates_come_when_they_are_final_and_after_a_withdrawal_no_more(
        self, house: House, recording: Samples
    ) -> None:
        await house.person()
        await house.consent("voice", "tone")
        feed = await _feed(house, "?person=ada")
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", "notice": "1"})
        await call.say(np.concatenate([recording[: 4 * 16_000], QUIET]))
        while not _heard(feed, "affect.result"):
            await feed.until("call.event", len(feed.of("call.event")) + 1)
        assert all(told["event"]["final"] for told in _heard(feed, "affect.result"))
        await house.consent("voice", "tone", granted=False)
        seen = len(_heard(feed, "affect.result"))
        await call.say(recording[: 3 * 16_000])
        await call.stop()
        await feed.until("call.ended")
        assert len(_heard(feed, "affect.result")) == seen


class TestWhoIsTold:
    async def test_another_app_is_told_nothing_and_a_token_only_of_its_holder(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=[CRISIS])
        await house.person("ada")
        await house.person("bob")
        stranger = await house.services.storage.apps.create_key("another", "general")
        foreign = await _feed(house, headers={"Authorization": f"Bearer {stranger}"})
        token = (await house.call("POST", "/v1/people/bob/tokens", {}, status=201))["token"]
        bobs = await _feed(house, headers={"Authorization": f"Bearer {token}"})
        assert bobs.events[0]["person"] == "bob"
        feed = await _feed(house)
        await _call(house, recording, transcription="on")
        await feed.until("call.ended")
        for other in (foreign, bobs):
            await other.send("anything")
            assert (await other.until("error"))["error"]["code"] == "unknown_event"
            assert [event["type"] for event in other.events] == ["calls.opened", "error"]

    async def test_a_person_who_is_not_of_the_app_and_a_plain_request_are_refused(self, house: House) -> None:
        assert (await house.call("GET", "/v1/calls?person=eve", status=404))["code"] == "person_unknown"
        assert (await house.call("GET", "/v1/calls", status=400))["code"] == "websocket_expected"
        assert (await house.call("GET", "/v1/calls", headers={}, status=401))["code"] == "key_missing"

    async def test_a_feed_ends_with_its_key(self, house: House) -> None:
        apps = house.services.storage.apps
        feed = await _feed(house)
        (key,) = [each for each in await apps.list_keys() if each.app.name == "test-general"]
        await apps.revoke_key(key.id)
        assert (await feed.until("error"))["error"]["code"] == "key_revoked"


class TestSignature:
    """https://www.twilio.com/docs/usage/security: HMAC-SHA1 of the whole URL as it was configured."""

    async def _status(self, house: House, headers: dict[str, str]) -> int:
        try:
            async with house.client.ws_connect("/v1/twilio", headers=headers):
                return 101
        except aiohttp.WSServerHandshakeError as error:
            return error.status

    async def test_is_checked_where_the_token_is_set(self, open_house: OpenHouse) -> None:
        house = await open_house(twilio_auth_token="12345,old")
        host = house.address.removeprefix("http://")
        for url, token, status in (
            (f"wss://{host}/v1/twilio", "12345", 101),
            (f"wss://{host}/v1/twilio", "old", 101),
            (f"wss://{host}/v1/twilio/", "12345", 101),
            (f"wss://{host}/v1/twilio", "1234", 403),
            (f"wss://{host}/v1/calls", "12345", 403),
            ("wss://example.com/v1/twilio", "12345", 403),
        ):
            assert await self._status(house, {"X-Twilio-Signature": sign(url, token)}) == status, (url, token)
        for signature in ("", "nonsense", "é"):
            assert await self._status(house, {"x-twilio-signature": signature}) == 403
        assert await self._status(house, {}) == 403

    async def test_counts_for_the_url_that_the_public_sees(self, open_house: OpenHouse) -> None:
        signed = {"X-Twilio-Signature": sign("wss://calls.example.com/attune/v1/twilio", "12345")}
        house = await open_house(twilio_auth_token="12345", public_url="https://calls.example.com/attune")
        assert await self._status(house, signed) == 101
        host = house.address.removeprefix("http://")
        assert await self._status(house, {"X-Twilio-Signature": sign(f"wss://{host}/v1/twilio", "12345")}) == 403
        house = await open_house(twilio_auth_token="12345")
        assert await self._status(house, signed) == 403
        signed = {"X-Twilio-Signature": sign("wss://calls.example.com/v1/twilio", "12345")}
        assert await self._status(house, signed | {"X-Forwarded-Host": "calls.example.com, inner"}) == 101

    async def test_without_a_token_nothing_is_checked(self, house: House) -> None:
        assert await self._status(house, {"X-Twilio-Signature": "nonsense"}) == 101


STREAM = "32DE0DEA-53CB-4B21-89A4-9E1819C043BC"
TELNYX: dict[str, Any] = {
    "event": "start",
    "sequence_number": "1",
    "start": {
        "user_id": "3E6F995F-85F7-4705-9741-53B116D28237",
        "call_control_id": "v2:T02llQxIyaRkhfRKxgAP8nY511EhFLizdvdUKJiSw8d6A9BborherQ",
        "client_state": "aGF2ZSBhIG5pY2UgZGF5ID1d",
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
    },
    "stream_id": STREAM,
}
PLIVO: dict[str, Any] = {
    "sequenceNumber": 1,
    "event": "start",
    "start": {
        "callId": "2d3a9b0e-0bd1-4f8e-9d1b-0d2c2f0a0f5e",
        "streamId": STREAM,
        "accountId": "MAXXXXXXXXXXXXXXXXXX",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 8000},
    },
    "extra_headers": "{}",
}


def _with(start: dict[str, Any], **change: Any) -> dict[str, Any]:
    return start | {"start": start["start"] | change}


class TestOtherServices:
    """Start messages as Telnyx, Plivo and Vonage publish them, with their audio."""

    async def _words(self, house: House, first: list[Any], rest: list[Any], path: str = "") -> Microphone:
        feed = await _feed(house)
        async with house.client.ws_connect(f"/v1/twilio{path}") as socket:
            for message in (*first, *rest):
                if isinstance(message, bytes):
                    await socket.send_bytes(message)
                else:
                    await socket.send_json(message)
        await feed.until("call.ended")
        assert len(_heard(feed, "policy.safety")) == 1, feed.events
        return feed

    @pytest.mark.parametrize(
        ("encoding", "rate", "type_"),
        [("PCMU", 8000, "audio/pcmu"), ("PCMA", 8000, "audio/pcma"), ("L16", 16000, "audio/pcm")],
    )
    async def test_telnyx_with_each_of_its_codecs(
        self, open_house: OpenHouse, recording: Samples, encoding: str, rate: int, type_: str
    ) -> None:
        house = await open_house(words=[CRISIS])
        await house.person()
        form = {"encoding": encoding, "sample_rate": rate, "channels": 1}
        start = _with(TELNYX, media_format=form, custom_parameters=[
            {"name": name, "value": value}
            for name, value in (("key", house.key), ("person", "ada"), ("transcription", "on"))
        ])  # fmt: skip
        audio = [
            {"event": "media", "sequence_number": str(4 + n), "stream_id": STREAM,
             "media": {"track": "inbound", "chunk": str(n), "timestamp": str(n * 100),
                       "payload": base64.b64encode(piece).decode()}}
            for n, piece in enumerate(_encoded(recording[: 3 * 16_000], type_, rate))
        ]  # fmt: skip
        stop = {"event": "stop", "sequence_number": "999", "stream_id": STREAM, "stop": {"call_control_id": "v2:T"}}
        dtmf = {"event": "dtmf", "stream_id": STREAM, "sequence_number": "5", "dtmf": {"digit": "1"}}
        feed = await self._words(house, [{"event": "connected", "version": "1.0.0"}, start], [*audio, dtmf, stop])
        started = feed.of("call.started")[0]
        assert (started["service"], started["format"], started["rate"]) == ("Telnyx", type_, rate)
        assert started["call"] == TELNYX["start"]["call_control_id"]
        assert _heard(feed, "error") == []

    async def test_plivo(self, open_house: OpenHouse, recording: Samples) -> None:
        house = await open_house(words=[CRISIS])
        await house.person()
        start = PLIVO | {"extra_headers": f"{{X-PH-key: {house.key}, X-PH-person: ada, X-PH-transcription: on}}"}
        audio = [
            {"event": "media", "sequenceNumber": 2 + n, "streamId": STREAM,
             "media": {"track": "inbound", "timestamp": str(1_700_000_000_000 + n * 100), "chunk": 1 + n,
                       "payload": base64.b64encode(piece).decode()},
             "extra_headers": "{}"}
            for n, piece in enumerate(_encoded(recording[: 3 * 16_000], "audio/pcm", 8000))
        ]  # fmt: skip
        feed = await self._words(house, [start], [*audio, {"event": "stop", "streamId": STREAM}])
        started = feed.of("call.started")[0]
        assert (started["service"], started["rate"], started["call"]) == ("Plivo", 8000, PLIVO["start"]["callId"])

    @pytest.mark.parametrize("rate", [8000, 16000, 24000])
    async def test_vonage_sends_binary_frames_and_no_stop(
        self, open_house: OpenHouse, recording: Samples, rate: int
    ) -> None:
        house = await open_house(words=[CRISIS])
        await house.person()
        first = VONAGE | {"content-type": f"audio/l16;rate={rate}", "key": house.key, "person": "ada"}
        audio = list(_encoded(recording[: 3 * 16_000], "audio/pcm", rate))
        rest = [*audio, {"event": "websocket:dtmf", "digit": "5", "duration": 260}]
        feed = await self._words(house, [first], rest, "?transcription=on")
        assert feed.of("call.started")[0]["rate"] == rate

    @pytest.mark.parametrize(
        ("start", "reason"),
        [
            ({"event": "start"}, "invalid_request: start"),
            ({"event": "start", "start": {}}, "invalid_request: start.streamSid"),
            ({"event": "begin"}, "invalid_request: event"),
            (_with(TELNYX, media_format=None), "invalid_request: start.media_format"),
            (_with(TELNYX, media_format={}), "invalid_request: start.media_format.encoding"),
            (
                _with(TELNYX, media_format={"encoding": "OPUS", "sample_rate": 16000}),
                "unsupported_audio_format: start.media_format.encoding",
            ),
            (
                _with(TELNYX, media_format={"encoding": "L16"}),
                "invalid_request: start.media_format.sample_rate",
            ),
            (
                _with(PLIVO, mediaFormat={"encoding": "audio/x-l16", "sampleRate": 4000}),
                "unsupported_audio_format: start.mediaFormat.sampleRate",
            ),
            (
                _with(PLIVO, mediaFormat={"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 2}),
                "unsupported_audio_format: start.mediaFormat.channels",
            ),
            (_with(PLIVO, streamId=5), "invalid_request: start.streamId"),
            ({"event": "websocket:connected"}, "invalid_request: content-type"),
            (VONAGE | {"content-type": "audio/l16"}, "invalid_request: content-type"),
            (VONAGE | {"content-type": "audio/mpeg"}, "unsupported_audio_format: content-type"),
            (_with(TELNYX, custom_parameters="ada"), "invalid_request: start.custom_parameters"),
            (TELNYX, "key_missing"),
            (PLIVO, "key_missing"),
            (VONAGE, "key_missing"),
        ],
    )
    async def test_what_is_missing_or_not_understood_is_named(
        self, house: House, start: dict[str, Any], reason: str
    ) -> None:
        call = Call(await house.client.ws_connect("/v1/twilio"))
        await call.socket.send_json(start)
        assert await call.ended() == (1008, reason)

    async def test_a_key_may_come_as_a_header(self, house: House) -> None:
        await house.person()
        feed = await _feed(house)
        socket = await house.client.ws_connect("/v1/twilio", headers=house.headers)
        await socket.send_json(VONAGE | {"person": "ada"})
        assert (await feed.until("call.started"))["service"] == "Vonage"


def _encoded(samples: Samples, type_: str, rate: int) -> list[bytes]:
    """100 ms each, in the format of a call."""
    narrow = soxr.resample(samples, 16_000, rate)
    data = to_pcm16(narrow) if type_ == "audio/pcm" else companded(narrow, type_)
    size = rate // 10 * (2 if type_ == "audio/pcm" else 1)
    return [data[at : at + size] for at in range(0, len(data), size)]
