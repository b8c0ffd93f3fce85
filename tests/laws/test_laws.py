"""The laws of the product. Each test fails when its law is broken."""

from __future__ import annotations

import copy
import logging
import os
import shutil
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest

from assistant.audio.pcm import Samples, to_pcm16
from assistant.audio.voice import VoiceReader
from assistant.config import shipped_models
from assistant.consent.grant import EvaluationGate
from assistant.consent.legal_rules import Context, Subject
from assistant.conversation.session import Conversation
from assistant.errors import ConsentRequired
from assistant.store.database import StorageFailed
from assistant.text.reader import TextReader
from tests.conftest import House, OpenHouse

WORRY = "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up."
REQUESTS: list[tuple[str, str, Any]] = [
    ("PUT", "/v1/people/ada", {"interests": ["music"], "language": "en"}),
    ("GET", "/v1/people/ada", None),
    ("GET", "/v1/people/ada/consent", None),
    ("POST", "/v1/people/ada/messages", {"text": WORRY}),
    ("POST", "/v1/people/ada/messages", {"text": "What a wonderful day, thank you!"}),
    ("POST", "/v1/people/ada/messages", {"text": "I want to kill myself"}),
    ("POST", "/v1/people/ada/rank", {"slots": 20}),
    ("GET", "/v1/people/ada/mood", None),
    ("GET", "/openapi.json", None),
]


async def _answers(house: House) -> list[tuple[int, bytes]]:
    given = []
    for method, path, body in REQUESTS:
        async with house.client.request(method, path, json=body, headers=house.headers) as answer:
            given.append((answer.status, await answer.read()))
    return given


async def _heard(house: House, recording: Samples) -> list[str]:
    microphone = await house.stream()
    for start in range(0, len(recording), 6400):  # so slowly that each answer comes before anything else is heard
        await microphone.play(recording[start : start + 6400], quiet_s=0)
        await microphone.settle()
    await microphone.play(recording[:0])
    await microphone.send(
        {
            "type": "conversation.item.create",
            "item": {"id": "t1", "content": [{"type": "input_text", "text": WORRY}]},
        }
    )
    await microphone.settle()
    await microphone.socket.close()
    assert microphone.of("policy.recommendations"), "the recording was understood as speech"
    return microphone.raw


class TestLaw1NoGrantNoInference:
    @pytest.mark.parametrize("words", [None, ["I am so worried.", "What a day!", "I want to die."]])
    async def test_http_and_stream_answer_byte_for_byte_like_a_server_without_affect_models(
        self, open_house: OpenHouse, recording: Samples, words: list[str] | None
    ) -> None:
        present, absent = await open_house(words=words), await open_house(affect="absent", words=words)
        assert present.services.conversations.text is not None
        assert present.services.conversations.voice is not None
        assert absent.services.conversations.text is None

        assert await _answers(present) == await _answers(absent)
        assert await _heard(present, recording) == await _heard(absent, recording)

        assert present.spy.affect == 0
        assert present.spy.runs["vad"] > 100
        assert (present.spy.runs["stem"] > 0) == (words is not None), "it runs for the words, or not at all"

    async def test_the_spy_would_have_seen_a_run(self, house: House, recording: Samples) -> None:
        await house.person()
        await house.consent("text", "tone")
        await house.consent("voice", "tone")
        await house.message(WORRY)
        assert house.spy.runs["text"] == 1
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording)
        await microphone.settle()
        assert house.spy.runs["voice"] >= 3
        assert house.spy.runs["stem"] >= house.spy.runs["voice"]

    async def test_the_readers_themselves_refuse_every_grant_that_the_ledger_did_not_issue(
        self, house: House
    ) -> None:
        await house.person()
        await house.consent("text", "tone")
        await house.consent("voice", "tone")
        tools = house.services.conversations
        person = await house.known("ada")
        issued = await tools.ledger.grants(Subject(person.pseudonym))
        assert len(issued) == 2
        assert isinstance(tools.text, TextReader)
        assert isinstance(tools.voice, VoiceReader)
        for grant in (*(copy.copy(g) for g in issued), EvaluationGate().issue("text")):
            with pytest.raises(ConsentRequired):
                await tools.text.read(grant, WORRY)
            with pytest.raises(ConsentRequired):
                await tools.voice.read(grant, np.ones(16_000, dtype=np.float32))
        with pytest.raises(ConsentRequired):
            await tools.voice.read(
                next(g for g in issued if g.modality == "text"), np.ones(16_000, dtype=np.float32)
            )
        assert house.spy.affect == 0

    async def test_a_grant_to_one_person_reads_nobody_else(self, house: House) -> None:
        await house.person("ada")
        await house.person("bob")
        await house.consent("text", "tone", name="ada")
        assert (await house.message(WORRY, name="bob"))["mood"] is None
        assert house.spy.affect == 0

    async def test_research_alone_reads_nothing(self, house: House) -> None:
        await house.person()
        await house.consent("text", "research")
        assert (await house.message(WORRY))["mood"] is None
        assert house.spy.affect == 0

    async def test_an_expired_grant_reads_nothing(self, house: House) -> None:
        await house.person()
        await house.consent("text", "tone")
        house.clock.now += 366 * 86_400
        assert (await house.message(WORRY))["mood"] is None
        assert house.spy.affect == 0


def _mood_parts(recommendations: list[dict[str, Any]]) -> set[str]:
    return {name for item in recommendations for name in item["parts"] if name.startswith("mood")}


class TestLaw2GrantsArePerModalityAndPurpose:
    async def test_text_for_tone_only_leaves_recommendations_mood_blind(self, house: House) -> None:
        await house.person()
        await house.consent("text", "tone")
        answer = await house.message(WORRY)
        assert answer["mood"]["abstained"] is None
        assert answer["directive"]["mood_used"]
        assert not _mood_parts(answer["recommendations"])

    async def test_text_for_content_only_leaves_the_tone_mood_blind(self, house: House) -> None:
        await house.person()
        before = await house.message(WORRY)
        await house.consent("text", "content")
        answer = await house.message(WORRY)
        assert _mood_parts(answer["recommendations"])
        assert answer["directive"] == before["directive"]

    async def test_voice_for_tone_only_leaves_recommendations_mood_blind(
        self, house: House, recording: Samples
    ) -> None:
        await house.person()
        await house.consent("voice", "tone")
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording)
        await microphone.settle()
        assert any(event["directive"]["mood_used"] for event in microphone.of("policy.directive"))
        offered = [item for event in microphone.of("policy.recommendations") for item in event["recommendations"]]
        assert offered
        assert not _mood_parts(offered)

    async def test_what_the_voice_may_tell_the_text_may_not(self, house: House) -> None:
        await house.person()
        await house.consent("voice", "tone")
        assert (await house.message(WORRY))["mood"] is None
        assert house.spy.runs["text"] == 0


class TestLaw3Withdrawal:
    @pytest.mark.parametrize("way", ["http", "stream"])
    async def test_a_live_stream_stops_before_its_next_window_and_state_is_zeroed(
        self, house: House, recording: Samples, way: str
    ) -> None:
        await house.person()
        for purpose in ("tone", "content"):
            await house.consent("voice", purpose)
        microphone = await house.stream()
        await microphone.acknowledge()
        half = len(recording) // 4
        await microphone.play(recording[:half], quiet_s=0)
        await microphone.until("affect.result")

        for purpose in ("tone", "content"):
            if way == "http":
                await house.consent("voice", purpose, granted=False)
            else:
                await microphone.send(
                    {"type": "consent.update", "modality": "voice", "purpose": purpose, "granted": False}
                )
        await microphone.until("consent.updated", 3)  # the acknowledgement, then two withdrawals
        ended = len(microphone.events)
        runs = house.spy.runs["voice"]
        await microphone.play(recording[half:])
        await microphone.settle()

        assert not [e for e in microphone.events[ended:] if e["type"] == "affect.result"]
        assert microphone.of("policy.recommendations"), "the stream itself goes on"
        assert house.spy.runs["voice"] == runs
        assert await house.call("GET", "/v1/people/ada/mood") is None
        await house.consent("voice", "tone")
        assert await house.call("GET", "/v1/people/ada/mood") is None, "what was derived is gone, not hidden"

    @pytest.mark.parametrize(("stage", "heads"), [("voice", 1), ("stem", 0)])
    async def test_an_estimate_that_was_under_way_is_dropped(
        self, open_house: OpenHouse, recording: Samples, stage: str, heads: int
    ) -> None:
        begun, may_end = threading.Event(), threading.Event()

        def wait() -> None:
            begun.set()
            assert may_end.wait(30)

        house = await open_house(before={stage: wait})
        await house.person()
        await house.consent("voice", "tone")
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording[: 2 * 16_000], quiet_s=0)
        while not begun.is_set():
            await microphone.settle()
        await house.consent("voice", "tone", granted=False)
        begun_by_then = house.spy.runs["stem"]
        may_end.set()
        await microphone.play(recording[2 * 16_000 :])
        await microphone.settle()
        assert microphone.of("affect.result") == []
        assert house.spy.runs["stem"] == begun_by_then
        assert house.spy.runs["voice"] == heads, "the head asks again after the stem"

    async def test_withdrawing_is_as_small_as_granting_and_gives_a_receipt(self, house: House) -> None:
        await house.person()
        granted = await house.consent("text", "tone")
        withdrawn = await house.call("POST", "/v1/people/ada/consent", granted["withdraw"], status=201)
        assert withdrawn["event"] == "withdrawn"
        shown = await house.call("GET", "/v1/people/ada/consent")
        assert [receipt["receipt"] for receipt in shown["receipts"]] == [granted["receipt"], withdrawn["receipt"]]
        assert not any(consent["granted"] for consent in shown["consents"])


class TestLaw4NoticeAndForbiddenContexts:
    async def test_no_acknowledgement_no_inference_from_the_voice(self, house: House, recording: Samples) -> None:
        await house.person()
        await house.consent("voice", "tone")
        microphone = await house.stream()
        notice = await microphone.until("policy.notice")
        assert "emotion" in notice["about"]
        assert "voice" in notice["about"]
        await microphone.play(recording)
        await microphone.settle()
        assert house.spy.affect == 0
        assert not microphone.of("affect.result")

    async def test_acknowledging_another_notice_does_not_count(self, house: House, recording: Samples) -> None:
        await house.person()
        await house.consent("voice", "tone")
        microphone = await house.stream()
        await microphone.send({"type": "consent.update", "acknowledge": True, "notice": "0"})
        assert (await microphone.until("error"))["error"]["code"] == "notice_outdated"
        await microphone.play(recording)
        await microphone.settle()
        assert house.spy.affect == 0

    async def test_without_a_grant_there_is_no_notice(self, house: House) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.settle()
        assert not microphone.of("policy.notice")

    @pytest.mark.parametrize("context", ["workplace", "education", "therapy"])
    async def test_voice_emotion_is_refused_in_contexts_where_law_forbids_it(
        self, open_house: OpenHouse, recording: Samples, context: Context
    ) -> None:
        house = await open_house(context=context)
        await house.person(country="DE")
        refusal = await house.consent("voice", "tone", status=403)
        assert refusal["code"] == f"context_{context}"
        microphone = await house.stream()
        await microphone.send({"type": "consent.update", "acknowledge": True, "notice": "1"})
        await microphone.play(recording)
        await microphone.settle()
        assert house.spy.affect == 0
        await house.consent("text", "tone")

    async def test_for_minors_affect_is_off_even_when_it_was_granted_before(self, house: House) -> None:
        path = await house.person(age_band="minor")
        for modality in ("voice", "text"):
            assert (await house.consent(modality, "tone", status=403))["code"] == "minor"
        await house.call("PUT", path, {"age_band": "adult"})
        await house.consent("text", "tone")
        await house.call("PUT", path, {"age_band": "minor"})
        assert (await house.message(WORRY))["mood"] is None
        assert house.spy.affect == 0

    async def test_a_live_stream_stops_when_the_person_turns_out_to_be_a_minor(
        self, house: House, recording: Samples
    ) -> None:
        path = await house.person()
        await house.consent("voice", "tone")
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording[:32_000], quiet_s=0)
        await microphone.until("affect.result")
        await house.call("PUT", path, {"age_band": "minor"})
        await microphone.until("consent.updated", 2)
        ended = len(microphone.events)
        await microphone.play(recording[32_000:])
        await microphone.settle()
        assert not [e for e in microphone.events[ended:] if e["type"] == "affect.result"]

    async def test_an_erased_person_is_not_heard_any_more(self, house: House, recording: Samples) -> None:
        path = await house.person()
        await house.consent("voice", "tone")
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.settle()
        await microphone.play(recording[:4_000], quiet_s=0)
        await house.call("DELETE", path, status=204)
        assert (await microphone.until("error", 2))["error"]["code"] == "person_unknown"
        assert (await microphone.socket.receive(timeout=60)).type is aiohttp.WSMsgType.CLOSE
        assert house.spy.affect == 0


_WATCHED: list[list[str]] = []


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHED and isinstance(args[0], str) and args[2] & (os.O_WRONLY | os.O_RDWR):
        _WATCHED[-1].append(args[0])


class TestLaw5NothingLeaks:
    async def test_raw_audio_never_touches_the_disk(self, house: House, recording: Samples, tmp_path: Path) -> None:
        sys.addaudithook(_hook)  # it can't be taken away again, and sees only what happens under watch
        await house.person()
        for purpose in ("tone", "content", "remember"):
            await house.consent("voice", purpose)
        _WATCHED.append([])
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording)
        await microphone.settle()
        await microphone.socket.close()
        opened = _WATCHED.pop()
        assert microphone.of("affect.result")
        assert opened == [], "only the databases are written, and those not through Python's open"
        loud = to_pcm16(recording)[32_000:]
        pieces = [loud[start : start + 64] for start in range(0, 64_000, 6_400)]
        for file in _files(tmp_path):
            stored = file.read_bytes()
            assert not any(piece in stored for piece in pieces), file.name

    async def test_no_text_score_person_or_key_in_logs_or_in_the_database_in_clear(
        self, open_house: OpenHouse, caplog: pytest.LogCaptureFixture, tmp_path: Path
    ) -> None:
        caplog.set_level(logging.DEBUG)

        def broken() -> None:
            raise RuntimeError("canary-in-exception")

        house = await open_house(before={"text": broken})
        await house.person("canary-person")
        await house.consent("text", "tone", name="canary-person")
        await house.message("canary-text " + WORRY, name="canary-person")
        await house.call("GET", "/v1/people/canary-unknown", status=404)
        await house.call("POST", "/v1/people/canary-person/messages", {"text": 5, "canary": 1}, status=400)
        assert "abstained" in caplog.text
        for canary in ("canary", WORRY, house.key):
            assert canary not in caplog.text
        for file in _files(tmp_path):
            assert b"canary" not in file.read_bytes(), file.name


class TestLaw8CrisisWordsAlwaysLeadToHelp:
    @pytest.mark.parametrize("affect", ["present", "absent"])
    @pytest.mark.parametrize("granted", [False, True])
    async def test_whether_or_not_affect_is_on(self, open_house: OpenHouse, affect: str, granted: bool) -> None:
        house = await open_house(affect=affect)
        await house.person(country="US")
        if granted:
            await house.consent("text", "tone")
        answer = await house.message("I want to kill myself")
        assert "988" in answer["safety"]["resources"][0]
        assert answer["directive"]["reasons"][-1]["code"] == "safety"
        assert (await house.message("I feel fine"))["safety"] is None

    async def test_a_broken_model_can_not_suppress_it(self, open_house: OpenHouse) -> None:
        def broken() -> None:
            raise RuntimeError

        house = await open_house(before={"text": broken})
        await house.person()
        await house.consent("text", "tone")
        assert (await house.message("I want to kill myself"))["safety"] is not None

    async def test_in_a_stream_too_and_before_anything_else_is_said(self, house: House) -> None:
        await house.person()
        microphone = await house.stream()
        await microphone.send(
            {
                "type": "conversation.item.create",
                "item": {"content": [{"type": "input_text", "text": "I want to die"}]},
            }
        )
        await microphone.until("policy.recommendations")
        kinds = [event["type"] for event in microphone.events]
        assert kinds.index("policy.safety") < kinds.index("policy.directive")


class TestLaw10ABadAffectModelNeverDelaysOrBreaksTheReply:
    async def test_a_slow_model_is_not_waited_for(self, open_house: OpenHouse) -> None:
        may_end = threading.Event()
        house = await open_house(before={"text": lambda: may_end.wait(60)}, affect_budget_ms=50)
        await house.person()
        await house.consent("text", "tone")
        answer = await house.message(WORRY)
        assert not may_end.is_set(), "the reply came while the model was still at it"
        may_end.set()
        assert answer["mood"]["abstained"] == "late"
        assert answer["mood"]["valence"] is None
        assert answer["recommendations"]

    @pytest.mark.parametrize("stage", ["stem", "voice"])
    async def test_a_broken_model_costs_only_the_mood(
        self, open_house: OpenHouse, recording: Samples, stage: str
    ) -> None:
        def broken() -> None:
            raise RuntimeError

        house = await open_house(before={"text": broken, stage: broken})
        await house.person()
        for modality in ("text", "voice"):
            await house.consent(modality, "tone")
        answer = await house.message(WORRY)
        assert answer["mood"]["abstained"] == "unavailable"
        assert answer["directive"]
        microphone = await house.stream()
        await microphone.acknowledge()
        await microphone.play(recording)
        await microphone.settle()
        assert {event["abstained"] for event in microphone.of("affect.result")} == {"unavailable"}
        assert microphone.of("policy.recommendations")

    @pytest.mark.parametrize("part", ["stem", "voice"])
    async def test_a_missing_or_tampered_model_is_said_and_costs_only_the_mood(
        self, open_house: OpenHouse, tmp_path: Path, part: str
    ) -> None:
        models = tmp_path / "models"
        shutil.copytree(shipped_models(), models, ignore=shutil.ignore_patterns(part))
        with (models / "text" / "model.onnx").open("ab") as graph:
            graph.write(b"x")
        house = await open_house(models=models)
        parts = (await house.call("GET", "/readyz"))["parts"]
        assert (parts["vad"], parts["text"], parts["voice"]) == ("ready", "unavailable", "unavailable")
        await house.person()
        await house.consent("text", "tone")
        assert (await house.message(WORRY))["mood"]["abstained"] == "unavailable"


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.rglob("*") if file.is_file()]


class _FullDisk:
    async def add(self, *_: Any) -> None:
        raise StorageFailed("the database can't be used now: OperationalError")


async def test_law_8_a_full_disk_costs_the_record_of_the_answer_and_never_the_way_to_help(house: House) -> None:
    await house.person(country="US")
    services = replace(house.services.conversations, decisions=_FullDisk())
    conversation = Conversation(services, await house.app(), await house.known("ada"))
    for answer in (
        await conversation.read("I want to kill myself"),
        await conversation.reply("I want to kill myself", None),
    ):
        assert answer.safety is not None
        assert answer.safety.resources[0] == "Call or text 988 (Suicide & Crisis Lifeline)"
    with pytest.raises(StorageFailed):
        await conversation.read("What a nice day")
