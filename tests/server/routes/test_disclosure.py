"""Global Privacy Control, and the disclosure that one talks to a machine."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.consent.legal_rules import DISCLOSE_EVERY_S, MACHINE
from tests.conftest import House, OpenHouse

WORRY = "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up."


def gpc(house: House, value: str = "1") -> dict[str, str]:
    return {**house.headers, "Sec-GPC": value}


@pytest.fixture
async def house(open_house: OpenHouse) -> House:
    """A server without affect models, which these tests don't need, with a person who likes a shop."""
    house = await open_house(affect="absent")
    items = [
        {"id": "song", "title": "Song", "kind": "music", "tags": ["music"]},
        {"id": "walk", "title": "Walk", "kind": "activity", "tags": ["nature"]},
        {"id": "shoes", "title": "Shoes", "kind": "product", "tags": ["shop"], "commercial": True},
    ]
    await house.call("PUT", "/v1/catalogue", {"version": "1", "items": items})
    await house.person(interests=["shop", "music"])
    return house


async def test_everybody_may_read_that_it_is_obeyed(house: House) -> None:
    async with house.client.get("/.well-known/gpc.json") as answer:
        assert answer.status == 200
        assert answer.content_type == "application/json"
        told = await answer.json()
    assert told["gpc"] is True
    assert len(told["lastUpdate"]) == len("2026-11-22")


@pytest.mark.parametrize("way", ["messages", "rank"])
async def test_with_the_signal_nothing_is_commercial_and_nothing_comes_from_the_profile(
    house: House, way: str
) -> None:
    body = {"text": "Hello"} if way == "messages" else {"slots": 10}
    usual = await house.call("POST", f"/v1/people/ada/{way}", body)
    blocked = await house.call("POST", f"/v1/people/ada/{way}", body, headers=gpc(house))

    assert (usual["gpc"], usual["limits"]) == (False, [])
    assert any(item["commercial"] for item in usual["recommendations"])
    assert any(item["parts"]["interest"] > 0 for item in usual["recommendations"])

    assert blocked["gpc"] is True
    assert [limit["code"] for limit in blocked["limits"]] == ["gpc"]
    assert blocked["limits"][0]["says"]
    assert {item["id"] for item in blocked["recommendations"]} == {"song", "walk"}
    assert all(part == 0 for item in blocked["recommendations"] for part in item["parts"].values())


async def test_a_commercial_item_does_not_come_back_as_a_candidate(house: House) -> None:
    body = {"slots": 5, "candidates": ["shoes", "walk"]}
    blocked = await house.call("POST", "/v1/people/ada/rank", body, headers=gpc(house))
    assert [item["id"] for item in blocked["recommendations"]] == ["walk"]


@pytest.mark.parametrize("value", ["0", "true", "1, 1", ""])
async def test_only_the_value_1_is_the_signal(house: House, value: str) -> None:
    answer = await house.call("POST", "/v1/people/ada/rank", {}, headers=gpc(house, value))
    assert answer["gpc"] is False


async def test_the_decision_log_names_no_input_that_was_not_used(house: House) -> None:
    for headers, inputs in ((house.headers, True), (gpc(house), False)):
        answer = await house.call("POST", "/v1/people/ada/rank", {}, headers=headers)
        person = await house.known("ada")
        logged = await house.services.storage.decisions.get(answer["decision"], person.pseudonym)
        assert logged.ranking is not None
        assert ("profile.interests" in logged.ranking.inputs) == inputs
        assert logged.limits == (() if inputs else ("gpc",))


async def test_a_stream_opened_with_the_signal_obeys_it_to_its_end(house: House) -> None:

    for headers, blocked in (({"Sec-GPC": "1"}, True), ({}, False)):
        microphone = await house.stream(headers=headers)
        for text in ("Hello", "And now?"):
            content = [{"type": "input_text", "text": text}]
            await microphone.send({"type": "conversation.item.create", "item": {"content": content}})
        await microphone.until("policy.recommendations", 2)
        for offers in microphone.of("policy.recommendations"):
            assert offers["gpc"] == blocked
            assert any(item["commercial"] for item in offers["recommendations"]) != blocked
        await microphone.socket.close()


async def test_even_a_grant_for_content_gives_no_mood_to_what_is_shown(open_house: OpenHouse) -> None:
    house = await open_house()
    await house.person()
    for purpose in ("tone", "content"):
        await house.consent("text", purpose)
    usual = await house.message(WORRY)
    blocked = await house.call("POST", "/v1/people/ada/messages", {"text": WORRY}, headers=gpc(house))

    def used(answer: Any) -> bool:
        return any(name.startswith("mood") for item in answer["recommendations"] for name in item["parts"])

    assert used(usual)
    assert not used(blocked)
    assert blocked["directive"]["mood_used"], "the tone is no content"
    assert not any(item["commercial"] for item in blocked["recommendations"])


# The disclosure


async def test_the_first_message_is_answered_by_who_is_answering_and_again_after_three_hours(house: House) -> None:
    assert (await house.message("Hello"))["disclosure"] == MACHINE
    assert (await house.message("Are you there?"))["disclosure"] is None
    house.clock.now += DISCLOSE_EVERY_S - 1
    assert (await house.message("And now?"))["disclosure"] is None
    house.clock.now += 1
    assert (await house.message("And now?"))["disclosure"] == MACHINE


async def test_each_person_is_told(house: House) -> None:
    await house.person("bob")
    assert (await house.message("Hello"))["disclosure"] == MACHINE
    assert (await house.message("Hello", name="bob"))["disclosure"] == MACHINE


async def test_a_stream_begins_with_it_and_tells_it_again_after_three_hours(house: House) -> None:
    await house.message("Hello")
    microphone = await house.stream()
    told = await microphone.until("policy.disclosure")
    assert told["text"] == MACHINE
    assert told["every_s"] == DISCLOSE_EVERY_S
    assert [event["type"] for event in microphone.events] == ["session.created", "policy.disclosure"]
    house.clock.now += DISCLOSE_EVERY_S - 1
    await microphone.settle()
    assert len(microphone.of("policy.disclosure")) == 1
    house.clock.now += 1
    await microphone.settle()
    assert len(microphone.of("policy.disclosure")) == 2
    assert (await house.message("Hello"))["disclosure"] is None, "they were told a moment ago"


async def test_a_minor_in_california_is_offered_a_break(house: House) -> None:
    await house.person("tim", age_band="teen", country="US", region="CA")
    assert "break" in (await house.message("Hello", name="tim"))["disclosure"]


async def test_the_notice_says_what_the_law_of_the_place_asks_for(house: House) -> None:
    await house.person("ira", country="US", region="IL")
    await house.consent("voice", "tone", name="ira")
    microphone = await house.stream("ira")
    notice = await microphone.until("policy.notice")
    assert "emotion" in notice["also"][0]
    assert "voice" in notice["also"][0]
    assert any("destroyed" in sentence for sentence in notice["also"])
