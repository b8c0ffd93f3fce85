"""The stream in the words of the OpenAI Realtime API: words, turns, formats, limits, and clients that misbehave."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import socket
import threading
from dataclasses import replace
from typing import Any, cast

import aiohttp
import numpy as np
import pytest
import soxr
from openai import AsyncOpenAI

from assistant.audio.pcm import Samples, to_pcm16
from assistant.audio.segment import SegmentRules
from assistant.conversation.live.events import (
    Affect,
    Committed,
    Event,
    Replied,
    SpeechStarted,
    SpeechStopped,
    Transcribed,
    Words,
)
from assistant.conversation.live.stream import Stream
from assistant.conversation.session import Conversation
from assistant.errors import TooLarge, Unavailable
from assistant.server.contract.session import TurnDetection
from assistant.server.live.dialect import SessionOptions
from tests.conftest import House, Microphone, OpenHouse

TRANSCRIPTION = "conversation.item.input_audio_transcription"
RATE = 16_000


class Ear:
    """Takes loud for speech."""

    def __init__(self) -> None:
        self.fails = False

    async def probabilities(self, state: Any, samples: Samples) -> list[float]:
        waiting = np.concatenate([state.rest[64:], samples])
        count = len(waiting) // 512
        state.rest = np.concatenate([state.rest[:64], waiting[count * 512 :]])
        if self.fails:
            raise RuntimeError("broken")
        return [float(chunk.max() > 0.1) for chunk in waiting[: count * 512].reshape(count, 512)]


def sound(*parts: tuple[bool, float]) -> Samples:
    """Loud and silent stretches, in seconds."""
    noise = np.random.default_rng(0)
    return np.concatenate(
        [(0.3 * loud * noise.normal(size=round(seconds * RATE))).astype(np.float32) for loud, seconds in parts]
    )


async def listen(house: House, **options: Any) -> tuple[Stream, list[Event], Ear]:
    """A stream without a socket, that takes loud for speech."""
    app = await house.app()
    person = await house.services.storage.people.get(app, "ada")
    ear = Ear()
    vad: Any = ear
    conversation = Conversation(replace(house.services.conversations, vad=vad), app, person)
    events: list[Event] = []
    return Stream(conversation, events.append, **options), events, ear


def of(events: list[Event], kind: type) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


async def hear(stream: Stream, samples: Samples, frame: int = 1600) -> None:
    """In frames of 100 ms, and no update misses its turn."""
    for start in range(0, len(samples), frame):
        await stream.hear(samples[start : start + frame])
        await stream._estimating.wait()
        await stream._wording.wait()


def kinds(microphone: Microphone) -> list[str]:
    return [event["type"] for event in microphone.events]


class TestTheOfficialClient:
    @pytest.mark.parametrize("rate", [24_000])
    async def test_streams_a_file_and_reads_the_transcript_and_our_events(
        self, open_house: OpenHouse, recording: Samples, rate: int
    ) -> None:
        house = await open_house(words=["First words.", "Second words."])
        await house.person()
        await house.consent("voice", "tone")
        address = house.address.replace("http", "ws")
        client = AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", websocket_base_url=f"{address}/v1")
        audio = to_pcm16(soxr.resample(recording, RATE, rate).astype(np.float32)) + bytes(2 * rate)
        seen: list[Any] = []
        async with (
            client,
            client.realtime.connect(extra_query={"person": "ada", "intent": "transcription"}) as connection,
        ):
            created = await connection.recv()
            assert created.type == "session.created"
            assert created.session.type == "transcription"
            await connection.session.update(
                session={
                    "type": "transcription",
                    "audio": {
                        "input": {
                            "format": {"type": "audio/pcm", "rate": 24_000},
                            "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                            "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
                        }
                    },
                }
            )
            await connection.send({"type": "consent.update", "acknowledge": True, "notice": "1"})  # type: ignore[arg-type]
            for start in range(0, len(audio), 9_600):
                piece = base64.b64encode(audio[start : start + 9_600]).decode()
                await connection.input_audio_buffer.append(audio=piece)
            async for event in connection:
                seen.append(event)
                if [e.type for e in seen].count("policy.recommendations") == 2:
                    break
        by_type = {event.type: event for event in reversed(seen)}
        updated = by_type["session.updated"].session.audio.input
        assert (updated.format.rate, updated.transcription.language) == (24_000, "en")
        said = [e.transcript for e in seen if e.type == f"{TRANSCRIPTION}.completed"]
        assert said == ["First words.", "Second words."]
        assert by_type[f"{TRANSCRIPTION}.completed"].usage.seconds > 1
        deltas = [e.delta for e in seen if e.type == f"{TRANSCRIPTION}.delta"]
        assert deltas == said
        assert by_type["policy.notice"].notice == "1"
        estimate = next(e for e in seen if e.type == "affect.result" and e.final)
        assert estimate.statement == "an estimate of expression"
        assert by_type["policy.directive"].directive
        assert not [e for e in seen if e.type == "error"]

    async def test_commits_by_itself_clears_writes_and_gets_errors_it_can_read(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=["By hand."])
        await house.person()
        address = house.address.replace("http", "ws")
        client = AsyncOpenAI(api_key=house.key, base_url=f"{house.address}/v1", websocket_base_url=f"{address}/v1")
        async with client, client.realtime.connect(extra_query={"person": "ada"}) as connection:
            await connection.session.update(
                session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
            )
            audio = base64.b64encode(to_pcm16(recording[:48_000])).decode()
            await connection.input_audio_buffer.append(audio=audio)
            await connection.input_audio_buffer.clear()
            await connection.input_audio_buffer.commit(event_id="nothing-there")
            await connection.input_audio_buffer.append(audio=audio)
            await connection.input_audio_buffer.commit()
            await connection.conversation.item.create(
                item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
            )
            seen: list[Any] = []  # events of the client's library and ours
            async for event in connection:
                seen.append(event)
                if [e.type for e in seen].count("policy.recommendations") == 2:
                    break
        error = next(e for e in seen if e.type == "error").error
        assert (error.code, error.event_id) == ("input_audio_buffer_commit_empty", "nothing-there")
        assert next(e for e in seen if e.type == f"{TRANSCRIPTION}.completed").transcript == "By hand."
        added = [e for e in seen if e.type == "conversation.item.added"]
        assert [e.item.content[0].type for e in added] == ["input_audio", "input_text"]
        assert added[1].previous_item_id == added[0].item.id


class TestWords:
    async def test_an_utterance_is_told_in_the_order_of_the_dialect(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=["Some words."])
        await house.person()
        microphone = await house.stream()
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        told = [kind for kind in kinds(microphone) if kind not in ("session.created", "policy.disclosure", "error")]
        assert told == [
            "input_audio_buffer.speech_started",
            "input_audio_buffer.speech_stopped",
            "input_audio_buffer.committed",
            "conversation.item.added",
            "conversation.item.done",
            f"{TRANSCRIPTION}.delta",
            f"{TRANSCRIPTION}.completed",
            "policy.directive",
            "policy.recommendations",
        ]
        items = {event["item_id"] for event in microphone.events if "item_id" in event}
        assert items == {microphone.of("conversation.item.added")[0]["item"]["id"]}
        done = microphone.of(f"{TRANSCRIPTION}.completed")[0]
        assert (done["transcript"], done["languages"]) == ("Some words.", [{"code": "en"}])
        assert done["usage"]["seconds"] == pytest.approx(6, abs=1)

    async def test_words_come_while_somebody_speaks_and_are_never_taken_back(self, open_house: OpenHouse) -> None:
        guesses = ["He", "He was not", "He was nothing", "She was not in"]
        house = await open_house(words=["He was not in."], guesses=guesses)
        await house.person()
        stream, events, _ = await listen(house)
        await hear(stream, sound((False, 0.5), (True, 4.5), (False, 1)))
        await stream.wait_for_answers()
        await stream.close()
        assert [event.delta for event in of(events, Words)] == ["He", " was", " not in."]
        assert [event.text for event in of(events, Transcribed)] == ["He was not in."]
        stopped = events.index(of(events, SpeechStopped)[0])
        assert [events.index(event) < stopped for event in of(events, Words)] == [True, True, False]
        assert [call[2] for call in house.scribe.asked] == [True] * 4 + [False]

    async def test_without_a_grant_the_words_are_not_read_and_with_one_they_are(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=["I am so happy and grateful, what a wonderful day!"] * 2)
        await house.person()
        microphone = await house.stream()
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        assert house.spy.affect == 0
        assert microphone.of("policy.directive")[0]["mood"] is None
        await house.consent("text", "tone")
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        assert house.spy.runs["text"] == 1
        assert house.spy.runs["voice"] == 0
        mood = microphone.of("policy.directive")[1]["mood"]
        assert [evidence["modality"] for evidence in mood["evidence"]] == ["text"]
        assert mood["valence"]["mean"] > 0

    @pytest.mark.parametrize("affect", ["present", "absent"])
    async def test_words_of_crisis_lead_to_help_with_or_without_affect(
        self, open_house: OpenHouse, recording: Samples, affect: str
    ) -> None:
        house = await open_house(words=["I want to kill myself"], affect=affect)
        await house.person(country="US")
        microphone = await house.stream()
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        assert "988" in microphone.of("policy.safety")[0]["safety"]["resources"][0]
        assert kinds(microphone).index("policy.safety") < kinds(microphone).index("policy.directive")

    async def test_transcription_is_off_when_it_is_null_and_absent_without_a_model(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        absent = await open_house()
        await absent.person()
        told = (await (await absent.stream()).until("session.created"))["session"]["capabilities"]
        assert (told["transcription"], told["reasons"]) == (False, {"transcription": "absent"})

        house = await open_house(words=[])
        await house.person()
        microphone = await house.stream()
        assert (await microphone.until("session.created"))["session"]["capabilities"]["transcription"] is True
        off = {"audio": {"input": {"transcription": None}}}
        await microphone.send({"type": "session.update", "session": off})
        session = (await microphone.until("session.updated"))["session"]
        assert session["audio"]["input"]["transcription"] is None
        assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad", "what was not named stays"
        assert session["capabilities"]["reasons"] == {"transcription": "off"}
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        assert microphone.of("policy.recommendations")
        assert (house.scribe.asked, house.spy.runs["stem"]) == ([], 0)

    async def test_a_language_is_passed_on_and_an_unknown_one_refused(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=[])
        await house.person()
        microphone = await house.stream()
        for language in ("tlh", "de"):
            wanted = {"audio": {"input": {"transcription": {"language": language}}}}
            await microphone.send({"type": "session.update", "session": wanted})
        assert (await microphone.until("error"))["error"]["code"] == "unknown_language"
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        assert {call[1] for call in house.scribe.asked} == {"de"}

    async def test_a_broken_transcriber_costs_only_the_words(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=[])
        house.scribe.fails = True
        await house.person()
        microphone = await house.stream()
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        failed = microphone.of(f"{TRANSCRIPTION}.failed")[0]
        assert failed["error"]["code"] == "unavailable"
        assert microphone.of("policy.recommendations")

    async def test_who_goes_on_speaking_is_heard_while_earlier_words_are_found_and_answers_keep_their_order(
        self, open_house: OpenHouse
    ) -> None:
        house = await open_house(words=["One.", "Two.", "Three."])
        await house.person()
        await house.consent("voice", "tone")
        stream, events, _ = await listen(house, rules=SegmentRules(silence_s=0.3))
        await stream.acknowledge("1")
        house.scribe.may_go.clear()
        one = sound((False, 0.5), (True, 1.2), (False, 0.5))
        for start in range(0, 2 * len(one), 1600):
            await stream.hear(np.tile(one, 2)[start : start + 1600])
            await stream._estimating.wait()
        assert len(of(events, SpeechStopped)) == 2
        assert not of(events, Transcribed)
        assert house.spy.runs["voice"] >= 4, "twice in each of them"
        await house.consent("voice", "tone", granted=False)
        told = len(of(events, Affect))
        house.scribe.may_go.set()
        await hear(stream, one)
        await stream.wait_for_answers()
        await stream.close()
        assert [event.text for event in of(events, Transcribed)] == ["One.", "Two.", "Three."]
        assert [event.item for event in of(events, Replied)] == [event.item for event in of(events, SpeechStarted)]
        assert len(of(events, Affect)) == told, "nothing after the withdrawal"

    async def test_words_of_those_who_speak_give_way_to_those_of_finished_utterances(
        self, open_house: OpenHouse
    ) -> None:
        house = await open_house(words=[], guesses=["a b c"] * 9)
        await house.person()
        first, events, _ = await listen(house)
        second, others, _ = await listen(house)
        house.scribe.may_go.clear()
        await first.hear(sound((False, 0.5), (True, 1.5), (False, 1)))
        await second.hear(sound((True, 2.5)))
        await second._wording.wait()
        assert not any(partial for _, _, partial in house.scribe.asked), "it was not even asked"
        house.scribe.may_go.set()
        await first.wait_for_answers()
        await second.hear(sound((True, 1.1)))
        await second._wording.wait()
        assert house.scribe.asked[-1][2]
        for stream in (first, second):
            await stream.close()
        assert of(events, Transcribed)
        assert not of(others, Transcribed)

    async def test_words_that_the_client_found_itself_are_read_like_a_message(self, house: House) -> None:
        await house.person()
        microphone = await house.stream()
        content = [{"type": "input_audio", "transcript": "I want to die"}]
        await microphone.send({"type": "conversation.item.create", "item": {"id": "mine", "content": content}})
        await microphone.until("policy.recommendations")
        assert microphone.of("policy.safety")[0]["item_id"] == "mine"


class TestTheShippedTranscriber:
    async def test_finds_the_words_of_a_recording(self, open_house: OpenHouse, recording: Samples) -> None:
        house = await open_house(transcriber_model="transcriber")
        if house.services.conversations.dictation is None:
            pytest.skip("the transcriber is not here")
        await house.person()
        microphone = await house.stream()
        created = await microphone.until("session.created")
        assert created["session"]["capabilities"]["transcription"] is True
        await microphone.play(recording)
        await microphone.settle()
        text = " ".join(event["transcript"] for event in microphone.of(f"{TRANSCRIPTION}.completed"))
        assert "young man" in text, text
        assert house.spy.affect == 0


class TestVoiceAndWords:
    async def test_one_pass_of_the_stem_serves_both_at_the_end(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        await house.consent("voice", "tone")
        stream, events, _ = await listen(house)
        await stream.acknowledge("1")
        await hear(stream, sound((False, 0.5), (True, 0.9), (False, 1)))  # too short for words before its end
        await stream.wait_for_answers()
        await stream.close()
        assert [partial for _, _, partial in house.scribe.asked] == [False]
        assert len(of(events, Transcribed)) == 1
        assert of(events, Affect)[-1].final
        assert house.spy.runs["voice"] == 2, "in the middle, and at the end"
        assert house.spy.runs["stem"] == 2, "and none more for the words"

    async def test_the_voice_is_read_the_same_with_and_without_words(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        readings = []
        for words in cast(tuple[list[str] | None, ...], (None, [])):
            house = await open_house(words=words)
            await house.person()
            await house.consent("voice", "tone")
            microphone = await house.stream()
            await microphone.acknowledge()
            await microphone.play(recording[: 6 * RATE])
            await microphone.settle()
            assert bool(house.scribe.asked) == (words is not None)
            readings.append([event["reading"] for event in microphone.of("affect.result") if event["final"]])
        assert readings[0] == readings[1] != []

    async def test_without_a_grant_the_stem_runs_for_the_words_alone(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=[])
        await house.person()
        microphone = await house.stream()
        await microphone.play(recording)
        await microphone.settle()
        assert house.spy.affect == 0
        assert house.spy.runs["stem"] >= len(microphone.of(f"{TRANSCRIPTION}.completed")) > 0

    async def test_withdrawal_keeps_the_words_and_nothing_else(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        await house.consent("voice", "tone")
        stream, events, _ = await listen(house)
        await stream.acknowledge("1")
        await hear(stream, sound((False, 0.5), (True, 1.5)))
        await house.consent("voice", "tone", granted=False)
        told = len(of(events, Affect))
        heads = house.spy.runs["voice"]
        await hear(stream, sound((True, 1.5), (False, 1)))
        await stream.wait_for_answers()
        await stream.close()
        assert len(of(events, Affect)) == told
        assert house.spy.runs["voice"] == heads
        assert of(events, Transcribed)[0].seconds == pytest.approx(3.5, abs=0.3)
        assert of(events, Replied)[0].answer.mood is None

    async def test_a_grant_in_the_middle_counts_from_there(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        stream, events, _ = await listen(house)
        await hear(stream, sound((False, 0.5), (True, 2)))
        await house.consent("voice", "tone")
        await stream.acknowledge("1")
        await hear(stream, sound((True, 2), (False, 1)))
        await stream.wait_for_answers()
        await stream.close()
        final = of(events, Affect)[-1]
        assert final.final
        assert final.window_s == pytest.approx(2.3, abs=0.4), "what was said before stays unread"
        assert of(events, Transcribed)[0].seconds == pytest.approx(4.5, abs=0.3)

    async def test_no_audio_is_kept_when_nobody_needs_it(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        stream, _, _ = await listen(house)
        await hear(stream, sound((True, 1)))
        assert len(stream._tape)
        stream.transcribe(None)
        assert not stream._tape._data.any()
        await hear(stream, sound((True, 1)))
        assert not stream._tape._data.any()
        await stream.close()

    async def test_a_slow_head_costs_neither_words_nor_reply(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        may_end = threading.Event()
        house = await open_house(words=[], before={"voice": lambda: may_end.wait(60)}, affect_budget_ms=50)
        await house.person()
        await house.consent("voice", "tone")
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        assert not may_end.is_set()
        may_end.set()
        assert microphone.of("affect.result")[-1]["abstained"] == "late"
        assert microphone.of(f"{TRANSCRIPTION}.completed")
        assert microphone.of("policy.recommendations")


class TestTurns:
    async def test_padding_before_speech_is_heard_and_counted(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        starts = []
        for padding in (0, 300, 1000):
            microphone = await house.stream()
            turns = {"type": "server_vad", "prefix_padding_ms": padding}
            await microphone.send(
                {"type": "session.update", "session": {"audio": {"input": {"turn_detection": turns}}}}
            )
            shown = (await microphone.until("session.updated"))["session"]["audio"]["input"]["turn_detection"]
            assert shown["prefix_padding_ms"] == padding
            await microphone.socket.close()
            stream, events, _ = await listen(house, rules=SessionOptions(turns=TurnDetection(**shown)).rules)
            await hear(stream, sound((False, 2), (True, 1), (False, 1)))
            await stream.wait_for_answers()
            await stream.close()
            starts.append(of(events, SpeechStarted)[0].at_ms)
        assert starts == pytest.approx([2000, 1700, 1000], abs=40)

    async def test_a_cough_starts_no_turn(self, house: House) -> None:
        await house.person()
        stream, events, _ = await listen(house)
        await hear(stream, sound(*[(True, 0.2), (False, 0.4)] * 5))
        await stream.close()
        assert events == []

    async def test_a_monologue_is_cut_at_its_best_pause_and_nothing_is_lost(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        stream, events, _ = await listen(house)
        await hear(
            stream, sound((False, 1), (True, 9), (False, 0.3), (True, 4), (False, 0.1), (True, 4), (False, 1))
        )
        await stream.wait_for_answers()
        await stream.close()
        first, second = of(events, SpeechStarted)
        cut, _ = of(events, SpeechStopped)
        assert cut.at_ms == second.at_ms == pytest.approx(10_150, abs=40)
        seconds = [event.seconds for event in of(events, Transcribed)]
        assert seconds[0] == pytest.approx((cut.at_ms - first.at_ms) / 1000)
        assert sum(seconds) == pytest.approx(17.4 + 0.3, abs=0.5)
        assert [event.previous for event in of(events, Committed)] == [None, first.item]

    async def test_the_client_commits_everything_since_its_last_commit(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        stream, events, _ = await listen(house, rules=None)
        for seconds in (1, 20):
            await stream.hear(sound((True, seconds)))
            await stream.commit()
        await stream.wait_for_answers()
        await stream.close()
        assert not of(events, SpeechStarted)
        assert not of(events, SpeechStopped)
        assert [event.seconds for event in of(events, Transcribed)] == [1, 20]
        finals = [frames for frames, _, partial in house.scribe.asked if not partial]
        assert finals[0] == 50
        assert len(finals) == 3
        assert sum(finals[1:]) == pytest.approx(1000, abs=2), "in pieces that fit"

    async def test_what_waits_for_a_commit_is_bounded(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        stream, events, _ = await listen(house, rules=None)
        with pytest.raises(TooLarge) as refused:
            await stream.hear(sound((True, 61)))
        assert refused.value.code == "buffer_full"
        assert len(stream._tape) <= 60 * RATE
        stream.clear()
        await stream.hear(sound((True, 1)))
        await stream.commit()
        await stream.wait_for_answers()
        assert of(events, Replied)
        await stream.close()

    async def test_where_it_can_not_be_told_what_is_speech_nothing_is_lost(self, open_house: OpenHouse) -> None:
        house = await open_house(words=[])
        await house.person()
        stream, events, ear = await listen(house)
        await hear(stream, sound((False, 1), (True, 1)))
        ear.fails = True
        with pytest.raises(Unavailable) as refused:
            await stream.hear(sound((True, 1)))
        assert refused.value.code == "vad_unavailable"
        await stream.hear(sound((True, 1)))  # said once, not for every frame
        ear.fails = False
        await hear(stream, sound((True, 1), (False, 1)))
        await stream.wait_for_answers()
        await stream.close()
        assert [event.seconds for event in of(events, Transcribed)] == [pytest.approx(4.5, abs=0.3)]

    async def test_audio_of_a_stranger_length_is_heard_as_well(self, open_house: OpenHouse) -> None:
        spoken = []
        for frame in (160, 1601, 100_000):
            house = await open_house(words=[])
            await house.person()
            stream, events, _ = await listen(house)
            samples = sound((False, 1), (True, 2), (False, 1), (True, 1), (False, 1))
            for start in range(0, len(samples), frame):
                await stream.hear(samples[start : start + frame])
            await stream.wait_for_answers()
            await stream.close()
            spoken.append([(event.at_ms) for event in of(events, SpeechStarted)])
            assert len(of(events, Transcribed)) == 2
        assert spoken[0] == spoken[1] == spoken[2]


class TestFormats:
    @pytest.mark.parametrize(
        ("form", "rate"),
        [
            ({"type": "audio/pcm", "rate": 16_000}, 16_000),
            ({"type": "audio/pcm", "rate": 24_000}, 24_000),
            ({"type": "audio/pcm", "rate": 48_000}, 48_000),
            ({"type": "audio/pcmu"}, 8_000),
            ({"type": "audio/pcma"}, 8_000),
        ],
    )
    async def test_each_format_is_heard_for_as_long_as_it_lasts(
        self, open_house: OpenHouse, form: dict[str, Any], rate: int
    ) -> None:
        house = await open_house(words=[])
        await house.person()
        microphone = await house.stream()
        wanted = {"audio": {"input": {"format": form, "turn_detection": None}}}
        await microphone.send({"type": "session.update", "session": wanted})
        assert (await microphone.until("session.updated"))["session"]["audio"]["input"]["format"] == form
        width = 2 if form["type"] == "audio/pcm" else 1
        for _ in range(20):
            await microphone.send(bytes(width * rate // 10))
        await microphone.send({"type": "input_audio_buffer.commit"})
        done = await microphone.until(f"{TRANSCRIPTION}.completed")
        assert done["usage"]["seconds"] == pytest.approx(2, abs=0.01)

    async def test_the_beta_form_is_understood(self, open_house: OpenHouse, recording: Samples) -> None:
        house = await open_house(words=["Old words."])
        await house.person()
        microphone = await house.stream()
        session = {
            "input_audio_format": "g711_ulaw",
            "input_audio_transcription": {"model": "whisper-1", "language": "en"},
            "turn_detection": None,
        }
        await microphone.send({"type": "transcription_session.update", "session": session})
        told = (await microphone.until("transcription_session.updated"))["session"]["audio"]["input"]
        assert told["format"] == {"type": "audio/pcmu"}
        assert (told["transcription"], told["turn_detection"]) == ({"language": "en"}, None)
        await microphone.send(bytes(16_000))
        await microphone.send({"type": "input_audio_buffer.commit"})
        assert (await microphone.until(f"{TRANSCRIPTION}.completed"))["transcript"] == "Old words."
        assert "conversation.item.created" in kinds(microphone)
        assert "conversation.item.added" not in kinds(microphone)


class TestLimits:
    async def test_an_app_has_its_own_limit_of_streams(self, open_house: OpenHouse) -> None:
        house = await open_house(max_streams_per_app=1)
        await house.person()
        first = await house.stream()
        async with house.client.get("/v1/realtime?person=ada", headers=_upgrade(house.key)) as refused:
            assert (refused.status, (await refused.json())["code"]) == (503, "too_many_streams_of_app")
        other = await house.services.storage.apps.create_key("other", "general")
        headers = {"Authorization": f"Bearer {other}"}
        await house.call("PUT", "/v1/people/eve", {}, status=201, headers=headers)
        await (await house.client.ws_connect("/v1/realtime?person=eve", headers=headers)).close()
        await first.socket.close()
        await (await house.stream()).socket.close()

    @pytest.mark.parametrize(
        ("change", "code"),
        [({"stream_idle_s": 0.05}, "idle_timeout"), ({"stream_longest_s": 0.05}, "session_expired")],
    )
    async def test_a_stream_ends_with_its_reason(
        self, open_house: OpenHouse, change: dict[str, Any], code: str
    ) -> None:
        house = await open_house(**change)
        await house.person()
        microphone = await house.stream()
        error = (await microphone.until("error"))["error"]
        assert error["code"] == code
        assert (await microphone.socket.receive()).type is aiohttp.WSMsgType.CLOSE

    async def test_only_audio_may_be_long(self, house: House) -> None:
        await house.person()
        microphone = await house.stream()
        audio = base64.b64encode(bytes(700_000)).decode()
        await microphone.send({"type": "input_audio_buffer.append", "audio": audio})
        await microphone.settle()
        assert [event["error"]["code"] for event in microphone.of("error")] == ["unknown_event"]
        await microphone.send({"type": "dance", "music": "x" * 70_000})
        assert (await microphone.until("error", 2))["error"]["code"] == "event_too_large"
        with contextlib.suppress(ConnectionError):  # it is closed as soon as the length is read
            await microphone.send({"type": "input_audio_buffer.append", "audio": "A" * 15_800_000})
        while (await microphone.socket.receive()).type is aiohttp.WSMsgType.TEXT:
            pass
        assert microphone.socket.close_code in (1009, 1006)

    async def test_who_reads_may_ask_a_lot(self, house: House) -> None:
        await house.person()
        microphone = await house.stream()
        for number in range(2_000):
            await microphone.send({"type": "dance", "event_id": f"n{number}"})
        await microphone.until("error", 2_000)
        assert [event["error"]["event_id"] for event in microphone.of("error")] == [f"n{n}" for n in range(2_000)]

    async def test_a_client_that_does_not_read_is_dropped_and_delays_nobody(
        self, open_house: OpenHouse, recording: Samples
    ) -> None:
        house = await open_house(words=["Heard."], stream_write_s=0.5)
        await house.person()
        _, writer = await _stuck(house)
        asked = asyncio.create_task(_ask_without_reading(writer))
        microphone = await house.stream()
        await microphone.play(recording[: 6 * RATE])
        await microphone.settle()
        assert microphone.of(f"{TRANSCRIPTION}.completed")
        with pytest.raises(ConnectionError):
            await asyncio.wait_for(asked, 60)
        writer.transport.abort()
        await microphone.settle()
        assert len(house.services.conversations.ledger._listeners) <= 2, "its stream is gone, and ours is not"


def _upgrade(key: str) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {key}",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }


async def _stuck(house: House) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A WebSocket whose other end has little room for what it doesn't read."""
    host, port = house.address.removeprefix("http://").split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=raw, limit=1024)
    lines = ["GET /v1/realtime?person=ada HTTP/1.1", f"Host: {host}"]
    lines += [f"{name}: {value}" for name, value in _upgrade(house.key).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    answer = await reader.readuntil(b"\r\n\r\n")
    assert b" 101 " in answer.splitlines()[0]
    return reader, writer


async def _ask_without_reading(writer: asyncio.StreamWriter) -> None:
    """Events that nobody knows, each of which is answered, until the connection breaks."""
    event = b'{"type": "dance"}'
    masked = bytes([0x81, 0x80 | len(event), 0, 0, 0, 0]) + event
    for _ in itertools.count():
        writer.write(masked * 100)
        await writer.drain()
        if writer.transport.is_closing():
            raise ConnectionResetError
