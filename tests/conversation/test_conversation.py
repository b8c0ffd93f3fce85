"""Messages and streams as an app sees them, beyond the laws."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import msgspec
import numpy as np
import pytest

from assistant.audio.pcm import Samples, to_pcm16
from assistant.config import Settings
from assistant.conversation.live.stream import Stream
from assistant.emotion import NO_BASELINE
from assistant.server.contract.events import AffectResult, BufferCleared, ErrorEvent, error_event, events_of
from assistant.server.live.outbox import Ended, Full, Outbox
from tests.conftest import House, OpenHouse
from tests.server.live.outbox_events import estimate

WORRY = "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up."
DELIGHT = "What a wonderful day, I am so happy and grateful, thank you all!"


async def _allow(house: House, *modalities: str, purposes: tuple[str, ...] = ("tone", "content")) -> None:
    for modality in modalities:
        for purpose in purposes:
            await house.consent(modality, purpose)


class TestMessages:
    async def test_opposite_messages_read_opposite_and_change_tone_and_recommendations(self, house: House) -> None:
        moods, offers = [], []
        for name, text in (("ada", WORRY), ("bob", DELIGHT)):
            await house.person(name)
            for purpose in ("tone", "content"):
                await house.consent("text", purpose, name=name)
            answer = await house.message(text, name=name)
            moods.append(answer["mood"])
            offers.append(answer)
        worried, delighted = moods
        assert worried["valence"]["mean"] < 0 < delighted["valence"]["mean"]
        assert worried["stress"] > 0.6 > delighted["stress"]
        assert max(delighted["emotions"], key=delighted["emotions"].get) == "joy"
        assert abs(sum(worried["emotions"].values()) - 1) < 0.01
        reasons = {reason["code"] for reason in offers[0]["directive"]["reasons"]}
        assert "mood_stressed" in reasons
        assert offers[0]["directive"]["without_mood"]["pace"] == "normal"
        assert offers[0]["recommendations"][0]["parts"]["mood_stress"] > 0
        assert not any(item["commercial"] for item in offers[0]["recommendations"])

    async def test_a_mood_decays_and_expires(self, house: House) -> None:
        await house.person()
        await _allow(house, "text")
        fresh = (await house.message(WORRY))["mood"]
        house.clock.now += 20
        older = await house.call("GET", "/v1/people/ada/mood")
        assert older["valence"]["deviation"] > fresh["valence"]["deviation"]
        assert older["stress"] < fresh["stress"]
        house.clock.now += 600
        assert (await house.call("GET", "/v1/people/ada/mood"))["abstained"] == "too_uncertain"
        house.clock.now += 300
        assert await house.call("GET", "/v1/people/ada/mood") is None

    async def test_an_empty_text_abstains_with_its_reason(self, house: House) -> None:
        await house.person()
        await _allow(house, "text")
        assert (await house.message("  \u200b "))["mood"]["abstained"] == "empty"

    async def test_a_long_text_is_read_in_windows_to_its_end(self, house: House) -> None:
        await house.person()
        await _allow(house, "text")
        filler = "The meeting starts at nine and the report has four pages. " * 60
        assert (await house.message(filler))["mood"]["abstained"] is None
        assert house.spy.runs["text"] >= 1
        plain = (await house.call("GET", "/v1/people/ada/mood"))["stress"]
        await house.consent("text", "tone", granted=False)
        await house.consent("text", "tone")
        worried = (await house.message(filler + " ".join([WORRY] * 20)))["mood"]["stress"]
        assert worried > plain

    async def test_recommendations_keep_to_the_persons_language_and_interests(self, house: House) -> None:
        await house.person(language="de", interests=["relaxation"])
        answer = await house.message("Hallo")
        assert {item["language"] for item in answer["recommendations"]} == {"de"}
        assert "relaxation" in answer["recommendations"][0]["reason"]

    async def test_rank_takes_candidates_and_slots(self, house: House) -> None:
        await house.person()
        body = {"slots": 3, "candidates": ["breathe-4-6", "square-breathing", "unknown"]}
        ranked = await house.call("POST", "/v1/people/ada/rank", body)
        assert {item["id"] for item in ranked["recommendations"]} == {"breathe-4-6", "square-breathing"}

    async def test_an_app_without_a_catalogue_gets_no_recommendations_and_no_error(self, house: House) -> None:
        key = await house.services.storage.apps.create_key("empty", "general")
        headers = {"Authorization": f"Bearer {key}"}
        await house.call("PUT", "/v1/people/ada", {}, status=201, headers=headers)
        answer = await house.call("POST", "/v1/people/ada/messages", {"text": "hello"}, headers=headers)
        assert answer["recommendations"] == []

    async def test_erasing_a_person_leaves_nothing_and_the_name_is_free_again(self, house: House) -> None:
        path = await house.person()
        await _allow(house, "text")
        await house.message(WORRY)
        await house.call("DELETE", path, status=204)
        await house.call("GET", path, status=404)
        await house.person()
        shown = await house.call("GET", f"{path}/consent")
        assert shown["receipts"] == []
        assert (await house.message(WORRY))["mood"] is None


class TestRemember:
    async def test_a_baseline_is_kept_over_a_restart_only_with_the_grant_to_remember(
        self, open_house: OpenHouse, settings: Settings
    ) -> None:
        same: dict[str, Any] = {"database": settings.database, "keys": settings.keys}
        house = await open_house(**same)
        for name in ("ada", "bob"):
            await house.person(name)
            await house.consent("text", "tone", name=name)
        await house.consent("text", "remember")
        for name in ("ada", "bob"):
            for _ in range(4):
                await house.message(DELIGHT, name=name)

        again = await open_house(first_id=1000, **same)
        again.key = house.key
        kept = (await again.message(WORRY, name="ada"))["mood"]
        lost = (await again.message(WORRY, name="bob"))["mood"]
        assert kept["baseline"] == "stored"
        assert kept["deviation"]["valence"] < -0.5
        assert lost["baseline"] == "none"

    async def test_withdrawing_remember_drops_what_was_kept(
        self, open_house: OpenHouse, settings: Settings
    ) -> None:
        same: dict[str, Any] = {"database": settings.database, "keys": settings.keys}
        house = await open_house(**same)
        await house.person()
        await house.consent("text", "tone")
        await house.consent("text", "remember")
        for _ in range(4):
            await house.message(DELIGHT)
        await house.consent("text", "remember", granted=False)
        again = await open_house(first_id=1000, **same)
        again.key = house.key
        await again.consent("text", "remember")
        assert (await again.message(WORRY))["mood"]["baseline"] == "none"

    async def test_a_baseline_is_written_only_with_the_grant_to_remember_and_only_that_modality(
        self, house: House
    ) -> None:
        await house.person()
        await _allow(house, "text")
        await house.consent("voice", "remember")
        person = await house.known("ada")
        kept = house.services.conversations.baselines
        await house.message(DELIGHT)
        assert [await kept.recall(person.pseudonym, modality) for modality in ("voice", "text")] == [None, None]
        await house.consent("text", "remember")
        await house.message(DELIGHT)
        written = await kept.recall(person.pseudonym, "text")
        assert written is not None
        assert (written.count, len(written.center) <= 8) == (2, True)
        assert await kept.recall(person.pseudonym, "voice") is None

    async def test_the_baseline_in_memory_goes_with_any_withdrawal(self, house: House) -> None:
        await house.person()
        await _allow(house, "text")
        person = await house.known("ada")
        for purpose in ("content", "tone"):
            await house.message(DELIGHT)
            timeline = house.services.conversations.memory.find_timeline(person.pseudonym)
            assert timeline is not None
            assert timeline.baseline("text").count == 1
            await house.consent("text", purpose, granted=False)
            assert timeline.baseline("text") == NO_BASELINE


class TestStream:
    async def test_estimates_come_after_every_half_second_of_speech_and_at_the_end(
        self, house: House, recording: Samples
    ) -> None:
        await house.person()
        await _allow(house, "voice")
        app = await house.app()
        person = await house.services.storage.people.get(app, "ada")
        events: list[Any] = []
        stream = Stream(house.services.conversation(app, person), events.append)
        await stream.acknowledge("1")
        heard = np.concatenate([recording[: 7 * 16_000], np.zeros(16_000, dtype=np.float32)])
        for start in range(0, len(heard), 1600):
            await stream.hear(heard[start : start + 1600])
            await stream._estimating.wait()  # audio comes faster than life; no estimate is to replace another
        await stream.wait_for_answers()
        await stream.close()
        shown = [msgspec.to_builtins(sent) for event in events for sent in events_of(event, "test")]
        results = [event for event in shown if event["type"] == "affect.result"]
        assert [event["final"] for event in results] == [False] * (len(results) - 1) + [True]
        assert 10 <= len(results) <= 15
        growing = [0.5, 1.0, 1.5, 2.0, 2.5]
        assert [event["window_s"] for event in results[:-1]] == [*growing, *[3.0] * (len(results) - 6)]
        assert results[-1]["window_s"] == pytest.approx(7, abs=0.5)
        for event in results:
            assert 0 <= event["reading"]["stress"] <= 1
            assert event["reading"]["valence"]["deviation"] > 0
            assert event["statement"] == "an estimate of expression"
            assert event["mood"]["evidence"][0]["modality"] == "voice"

    async def test_base64_append_hears_what_binary_frames_hear(self, house: House, recording: Samples) -> None:
        said = []
        for name in ("ada", "bob"):
            await house.person(name)
            await house.consent("voice", "tone", name=name)
            microphone = await house.stream(name)
            await microphone.acknowledge()
            data = to_pcm16(recording[: 4 * 16_000]) + bytes(32_000)
            for start in range(0, len(data), 3200):
                frame = data[start : start + 3200]
                if name == "ada":
                    await microphone.send(frame)
                else:
                    audio = base64.b64encode(frame).decode()
                    await microphone.send({"type": "input_audio_buffer.append", "audio": audio})
            await microphone.settle()
            said.append([event["reading"] for event in microphone.of("affect.result") if event["final"]])
        assert said[0] == said[1] != []

    async def test_without_server_vad_the_client_commits(self, house: House, recording: Samples) -> None:
        await house.person()
        await _allow(house, "voice")
        microphone = await house.stream()
        await microphone.acknowledge()
        turns = {"audio": {"input": {"turn_detection": None}}}
        await microphone.send({"type": "session.update", "session": turns})
        updated = await microphone.until("session.updated")
        assert updated["session"]["audio"]["input"]["turn_detection"] is None
        await microphone.play(recording[8_000:40_000], quiet_s=0)
        await microphone.send({"type": "input_audio_buffer.commit"})
        await microphone.until("policy.recommendations")
        assert house.spy.runs["vad"] == 0
        assert microphone.of("affect.result")[-1]["final"]

    async def test_clear_forgets_the_utterance(self, house: House, recording: Samples) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.play(recording[: 3 * 16_000], quiet_s=0)
        await microphone.send({"type": "input_audio_buffer.clear"})
        await microphone.until("input_audio_buffer.cleared")
        await microphone.play(recording[:0], quiet_s=2)
        await microphone.settle()
        assert not microphone.of("policy.recommendations")

    async def test_a_session_says_what_the_grants_allow(self, house: House) -> None:
        await house.person()
        await _allow(house, "voice")
        created = await (await house.stream()).until("session.created")
        assert created["session"]["capabilities"]["affect"] == {"text": [], "voice": ["content", "tone"]}
        assert created["session"]["protocol_version"] == "1"

    async def test_voice_and_text_are_fused_for_one_person(self, house: House, recording: Samples) -> None:
        await house.person()
        await _allow(house, "voice", "text")
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording)
        await microphone.settle()
        mood = (await house.message(WORRY))["mood"]
        assert {evidence["modality"] for evidence in mood["evidence"]} == {"voice", "text"}
        assert abs(sum(evidence["weight"] for evidence in mood["evidence"]) - 1) < 0.001

    async def test_audio_is_kept_only_while_it_may_be_read(self, house: House, recording: Samples) -> None:
        await house.person()
        app = await house.app()
        person = await house.services.storage.people.get(app, "ada")
        events: list[Any] = []
        stream = Stream(house.services.conversation(app, person), events.append)
        frame = recording[16_000:48_000]
        await stream.hear(frame)
        assert not len(stream._tape), "nobody allowed it"
        await house.consent("voice", "tone")
        await stream.acknowledge("1")
        await stream.hear(frame)
        assert len(stream._tape)
        await house.consent("voice", "tone", granted=False)
        assert not len(stream._tape), "withdrawn"
        assert not stream._tape._data.any(), "and zeroed"
        await stream.close()


class TestOutbox:
    async def test_only_the_newest_interim_estimate_waits(self) -> None:
        box = Outbox()
        for number in range(3):
            box.put(estimate(final=False, window_s=number))
        last = estimate(final=True)
        box.put(last)
        newest = await box.get()
        assert isinstance(newest, AffectResult)
        assert newest.window_s == 2
        assert await box.get() is last

    async def test_a_client_that_does_not_read_is_dropped_after_a_bound(self) -> None:
        box = Outbox(limit=2)
        for _ in range(3):
            box.put(error_event("busy", "wait"))
        with pytest.raises(Full):
            await box.get()

    async def test_who_asks_for_more_has_to_read_what_was_said_before(self) -> None:
        box = Outbox(limit=4)
        for _ in range(3):
            box.put(error_event("busy", "wait"))
        asking = asyncio.create_task(box.room())
        await box.get()
        await asyncio.sleep(0)
        assert not asking.done()
        await box.get()
        await asking

    async def test_at_the_end_everything_is_sent_and_nobody_waits_for_room(self) -> None:
        box = Outbox(limit=2)
        box.put(error_event("busy", "wait"))
        asking = asyncio.create_task(box.room())
        await asyncio.sleep(0)
        box.end()
        box.put(BufferCleared())
        await asking
        assert isinstance(await box.get(), ErrorEvent)
        with pytest.raises(Ended):
            await box.get()

    async def test_estimates_that_were_not_sent_are_unsaid_at_withdrawal(self) -> None:
        box = Outbox()
        box.put(estimate(final=True))
        box.put(BufferCleared())
        box.drop_affect()
        assert isinstance(await box.get(), BufferCleared)
