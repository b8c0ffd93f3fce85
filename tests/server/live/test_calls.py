"""Calls as Twilio Media Streams documents them, over a real WebSocket."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest
import soxr

from assistant.audio.pcm import ALAW, ULAW, Samples
from assistant.commands.log_format import is_logged
from assistant.consent.legal_rules import Context
from tests.conftest import House, OpenHouse

STREAM = "MZ18ad3ab5a668481ce02b83e7395059f0"
CALL = {"accountSid": "AC" + "0" * 32, "callSid": "CA" + "1" * 32}
CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}


class Call:
    """One side of the wire is Twilio's: numbers its messages and writes them as documented."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.sequence = 0
        self.chunks = {"inbound": 0, "outbound": 0}
        self.at_ms = {"inbound": 0, "outbound": 0}

    async def send(self, event: str, **more: Any) -> None:
        self.sequence += 1
        await self.socket.send_json(
            {"event": event, "sequenceNumber": str(self.sequence), "streamSid": STREAM, **more}
        )

    async def start(self, parameters: dict[str, str], **change: Any) -> None:
        await self.socket.send_json(CONNECTED)
        details = {
            **CALL,
            "streamSid": STREAM,
            "tracks": ["inbound", "outbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": parameters,
        }
        await self.send("start", start=details | change)

    async def media(self, data: bytes, track: str = "inbound") -> None:
        self.chunks[track] += 1
        await self.send(
            "media",
            media={
                "track": track,
                "chunk": str(self.chunks[track]),
                "timestamp": str(self.at_ms[track]),
                "payload": base64.b64encode(data).decode(),
            },
        )
        self.at_ms[track] += len(data) // 8

    async def say(self, samples: Samples, track: str = "inbound") -> None:
        for piece in _pieces(samples):
            await self.media(piece, track)

    async def stop(self) -> tuple[int, str]:
        await self.send("stop", stop=CALL)
        return await self.ended()

    async def ended(self) -> tuple[int, str]:
        """How the server closed: nothing else ever comes from it."""
        message = await self.socket.receive(timeout=60)
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return message.data, message.extra or ""


def companded(samples: Samples, kind: str) -> bytes:
    """G.711 of samples at 8 kHz."""
    table = ULAW if kind == "audio/pcmu" else ALAW
    order = np.argsort(table)
    middles = (table[order][1:] + table[order][:-1]) / 2
    return order[np.searchsorted(middles, samples)].astype(np.uint8).tobytes()


def _pieces(samples: Samples) -> Iterator[bytes]:
    """20 ms of mu-law each."""
    data = companded(soxr.resample(samples, 16_000, 8_000), "audio/pcmu")
    for start in range(0, len(data), 160):
        yield data[start : start + 160]


async def dial(house: House) -> Call:
    return Call(await house.client.ws_connect("/v1/twilio"))


async def _two_people(house: House, *granting: str) -> dict[str, str]:
    for name in ("ada", "bob"):
        await house.person(name)
    for name in granting:
        await house.consent("voice", "tone", name=name)
    return {
        "key": house.key,
        "person": "ada",
        "notice": "1",
        "outbound_person": "bob",
        "outbound_notice": "1",
    }


async def _mood(house: House, name: str = "ada") -> Any:
    return await house.call("GET", f"/v1/people/{name}/mood")


QUIET = np.zeros(16_000, dtype=np.float32)


class TestACall:
    async def test_the_documented_sequence_is_heard_and_its_mood_is_read_like_any_other(
        self, house: House, recording: Samples
    ) -> None:
        await house.person()
        await house.consent("voice", "tone")
        call = await dial(house)
        await call.start(
            {"key": house.key, "person": "ada", "notice": "1", "FirstName": "Jane"}, tracks=["inbound"]
        )
        await call.say(recording[: 4 * 16_000])
        await call.send("dtmf", dtmf={"track": "inbound_track", "digit": "1"})
        await call.send("mark", mark={"name": "my label"})
        assert await call.stop() == (1000, "")
        mood = await _mood(house)
        assert mood["evidence"][0]["modality"] == "voice"
        assert mood["abstained"] is None

    async def test_what_was_said_before_a_pause_is_read_before_the_call_is_over(
        self, house: House, recording: Samples
    ) -> None:
        await house.person()
        await house.consent("voice", "tone")
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", "notice": "1"})
        await call.say(np.concatenate([recording[: 4 * 16_000], QUIET]))
        while await _mood(house) is None:
            await call.say(QUIET[:320])
        assert not call.socket.closed

    async def test_where_the_other_side_hangs_up_without_a_word_the_server_goes_on(
        self, house: House, recording: Samples
    ) -> None:
        parameters = await _two_people(house, "ada")
        call = await dial(house)
        await call.start(parameters)
        await call.say(recording[:32_000])
        await call.socket.close()
        again = await dial(house)
        await again.start(parameters)
        assert await again.stop() == (1000, "")


class TestTracksAreKeptApart:
    async def test_each_is_its_own_persons(self, house: House, recording: Samples) -> None:
        parameters = await _two_people(house, "bob")
        call = await dial(house)
        await call.start(parameters)
        for ours, theirs in zip(_pieces(recording[:48_000]), _pieces(QUIET.repeat(3)), strict=True):
            await call.media(theirs, "inbound")
            await call.media(ours, "outbound")
        await call.stop()
        assert await _mood(house, "ada") is None
        assert (await _mood(house, "bob"))["evidence"][0]["modality"] == "voice"

    async def test_the_track_of_a_person_who_granted_nothing_is_never_looked_at(
        self, house: House, recording: Samples
    ) -> None:
        parameters = await _two_people(house, "ada")
        call = await dial(house)
        await call.start(parameters)
        await call.say(recording[: 4 * 16_000], "outbound")
        await call.stop()
        assert house.spy.runs == {}, "not even for the presence of speech"

    async def test_a_track_without_a_person_is_never_looked_at(self, house: House, recording: Samples) -> None:
        await house.person()
        await house.consent("voice", "tone")
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", "notice": "1"})
        await call.say(recording[: 4 * 16_000], "outbound")
        await call.stop()
        assert house.spy.runs == {}

    @pytest.mark.parametrize("notice", [{}, {"notice": "0"}, {"outbound_notice": "1"}])
    async def test_nor_is_that_of_a_person_who_was_not_told_the_notice(
        self, house: House, recording: Samples, notice: dict[str, Any]
    ) -> None:
        await house.person()
        await house.consent("voice", "tone")
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", **notice})
        await call.say(recording[: 4 * 16_000])
        assert await call.stop() == (1000, "")
        assert house.spy.runs == {}

    async def test_a_grant_counts_from_when_it_is_given_until_it_is_taken_back(
        self, house: House, recording: Samples
    ) -> None:
        parameters = await _two_people(house)
        call = await dial(house)
        await call.start(parameters)
        await call.say(recording[: 3 * 16_000])
        await house.consent("voice", "tone")
        await call.say(np.concatenate([recording[: 4 * 16_000], QUIET]))
        while await _mood(house) is None:
            await call.say(QUIET[:320])
        await house.consent("voice", "tone", granted=False)
        assert await _mood(house) is None
        runs = house.spy.runs.copy()
        await call.say(recording[: 4 * 16_000])
        await call.stop()
        assert house.spy.runs == runs

    @pytest.mark.parametrize("context", ["workplace", "therapy"])
    async def test_in_contexts_that_forbid_it_nothing_is_looked_at(
        self, open_house: OpenHouse, recording: Samples, context: Context
    ) -> None:
        house = await open_house(context=context)
        await house.person()
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", "notice": "1"})
        await call.say(recording[:48_000])
        await call.stop()
        assert house.spy.runs == {}


class TestMessagesThatAreNotAsExpected:
    async def test_what_comes_twice_or_late_is_heard_once(self, house: House, recording: Samples) -> None:
        parameters = await _two_people(house, "ada", "bob")
        runs = []
        for person, notice in (("person", "notice"), ("outbound_person", "outbound_notice")):
            call = await dial(house)
            await call.start(
                {"key": house.key, "person": parameters[person], "notice": parameters[notice]}, tracks=["inbound"]
            )
            for piece in _pieces(recording[:48_000]):
                await call.media(piece)
                for sequence in (call.sequence, 2) if person == "person" else ():
                    noise = {"track": "inbound", "chunk": "1", "timestamp": "0", "payload": "gICAgA==" * 40}
                    await call.socket.send_json(
                        {"event": "media", "sequenceNumber": str(sequence), "streamSid": STREAM, "media": noise}
                    )
            await call.stop()
            runs.append(house.spy.runs["vad"])
        assert runs[1] == 2 * runs[0] > 0

    async def test_what_is_no_message_is_passed_over(self, house: House, recording: Samples) -> None:
        await house.person()
        await house.consent("voice", "tone")
        call = await dial(house)
        await call.start({"key": house.key, "person": "ada", "notice": "1"})
        await call.say(recording[:48_000])
        for broken in (
            "no JSON",
            "[]",
            '{"event": "unheard of"}',
            '{"event": "media", "media": {"track": "inbound"}}',
            '{"event": "media", "media": {"track": "sideways", "payload": ""}}',
            '{"event": "media", "media": {"track": "inbound", "payload": "%%%"}}',
            '{"event": "media", "media": {"track": "inbound", "payload": "", "timestamp": "never"}}',
            '{"event": "stop", "streamSid": "MZ-another"}',
            '{"event": "start", "start": {"streamSid": "MZ-again"}}',
        ):
            await call.socket.send_str(broken)
        await call.socket.send_bytes(b"\xff\x00")
        await call.say(recording[48_000:64_000])
        assert await call.stop() == (1000, "")
        assert (await _mood(house))["abstained"] is None

    async def test_a_long_hole_in_a_track_is_silence(self, house: House, recording: Samples) -> None:
        parameters = await _two_people(house, "ada")
        call = await dial(house)
        await call.start(parameters)
        await call.say(recording[: 4 * 16_000])
        call.at_ms["outbound"] = call.at_ms["inbound"]
        while await _mood(house) is None:
            await call.say(QUIET[:3_200], "outbound")
        assert not call.socket.closed, "the turn ended though the track it was on fell silent"


class TestWhoMayBeHeard:
    @pytest.mark.parametrize(
        ("change", "reason"),
        [
            ({"key": ""}, "key_missing"),
            ({"key": "att_wrong"}, "key_unknown"),
            ({"person": "nobody"}, "person_unknown"),
            ({"outbound_person": "nobody"}, "person_unknown"),
            ({"person": "x" * 200}, "person_invalid"),
            ({"person": "", "outbound_person": ""}, "person_missing"),
        ],
    )
    async def test_who_does_not_say_it_is_turned_away_with_the_reason(
        self, house: House, change: dict[str, Any], reason: str
    ) -> None:
        parameters = await _two_people(house, "ada", "bob")
        call = await dial(house)
        await call.start(parameters | change)
        assert await call.ended() == (1008, reason)

    async def test_people_of_another_app_are_unknown(self, house: House) -> None:
        parameters = await _two_people(house, "ada")
        call = await dial(house)
        await call.start(parameters | {"key": await house.services.storage.apps.create_key("another", "general")})
        assert await call.ended() == (1008, "person_unknown")

    async def test_before_start_nothing_is_taken(self, house: House, recording: Samples) -> None:
        await _two_people(house, "ada")
        call = await dial(house)
        await call.socket.send_json(CONNECTED)
        await call.media(b"\xff" * 160)
        assert await call.ended() == (1008, "start_expected")

    async def test_what_is_no_message_before_start_ends_the_connection(self, house: House) -> None:
        call = await dial(house)
        await call.socket.send_str("hello")
        assert await call.ended() == (1008, "invalid_json")

    async def test_who_never_starts_is_not_waited_for(self, open_house: OpenHouse) -> None:
        house = await open_house(stream_idle_s=0.05)
        call = await dial(house)
        await call.socket.send_json(CONNECTED)
        assert await call.ended() == (1000, "start_timeout")

    async def test_who_falls_silent_is_not_waited_for(self, open_house: OpenHouse) -> None:
        house = await open_house(stream_idle_s=1.0)
        parameters = await _two_people(house)
        call = await dial(house)
        await call.start(parameters)
        assert await call.ended() == (1000, "idle_timeout")

    async def test_no_call_lasts_longer_than_a_stream_may(self, open_house: OpenHouse) -> None:
        house = await open_house(stream_longest_s=0.05)
        parameters = await _two_people(house)
        call = await dial(house)
        await call.start(parameters)
        assert await call.ended() == (1000, "session_expired")

    async def test_another_encoding_is_refused(self, house: House) -> None:
        call = await dial(house)
        await call.start(
            await _two_people(house), mediaFormat={"encoding": "audio/opus", "sampleRate": 48000, "channels": 1}
        )
        assert await call.ended() == (1008, "unsupported_audio_format: start.mediaFormat.encoding")

    async def test_strangers_take_no_room_from_those_who_said_who_they_are(self, open_house: OpenHouse) -> None:
        house = await open_house(max_streams=1)
        parameters = await _two_people(house)
        stranger = await dial(house)
        assert (await house.call("GET", "/v1/twilio", status=503))["code"] == "too_many_streams"
        microphone = await house.stream()
        await microphone.until("session.created")
        await stranger.start(parameters)
        assert await stranger.ended() == (1013, "too_many_streams")

    async def test_a_plain_request_is_told_what_this_path_speaks(self, house: House) -> None:
        answer = await house.call("GET", "/v1/twilio", status=400)
        assert answer["code"] == "websocket_expected"

    async def test_nothing_about_anybody_is_logged(
        self, house: House, recording: Samples, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        parameters = await _two_people(house, "ada")
        for change in ({"key": "att_canary"}, {"person": "canary"}, {"notice": "canary"}):
            call = await dial(house)
            await call.start(parameters | change | {"canary": "canary"})
            await call.socket.send_str('{"event": "canary"}')
            await call.socket.close()
        call = await dial(house)
        await call.start(parameters)
        await call.say(recording[:32_000])
        await call.send("canary", media={"payload": "canary"})
        await call.stop()
        told = "\n".join(record.getMessage() for record in caplog.records if is_logged(record))
        assert "a call" in told
        for secret in ("canary", house.key, "ada", STREAM, CALL["callSid"]):
            assert secret not in told
