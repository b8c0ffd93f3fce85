"""What is kept of a decision: written as it always was, and read again, also from rows without a version."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assistant.decision import Decision
from assistant.profile.person import Person
from assistant.recommend.decision import explain_items
from assistant.server.routes.explain import ways_out
from tests.conftest import House
from tests.decisions import a_decision, an_item

OLD: dict[str, Any] = json.loads((Path(__file__).parent / "before" / "decisions.json").read_text())
"""Bodies of decisions as the version before wrote them."""


def read(body: Any) -> Decision:
    return msgspec.json.decode(json.dumps(body), type=Decision)


@pytest.mark.parametrize("name", OLD)
def test_an_old_row_is_of_version_1_and_nothing_of_it_is_lost(name: str) -> None:
    written = msgspec.json.decode(msgspec.json.encode(read(OLD[name])))
    assert written.pop("version") == 1
    assert written == OLD[name]


def test_a_row_of_another_version_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="version"):
        read(OLD["chat"] | {"version": 2})


def test_an_old_ranking_is_explained_in_full() -> None:
    ranking = read(OLD["ranked_ahead"]).ranking
    assert ranking is not None
    assert (ranking.likes, ranking.taste, ranking.active) == (1, True, False)
    first = explain_items(ranking, {"write-the-worry-down": {"mood_stress": 0.5}})[0]
    assert first.score == pytest.approx(first.score_without_mood + 0.5)
    assert explain_items(ranking, None)[0].score is None
    limited = read(OLD["with_gpc"])
    assert limited.limits == ("gpc",)
    assert limited.ranking is not None
    assert limited.ranking.taste is False


@pytest.mark.parametrize(
    ("name", "body"),
    [("message_with_a_mood", {"stress": False}), ("chat", {"stress": False}), ("message_without_consent", None)],
)
def test_an_old_tone_offers_the_correction_of_its_shipped_rule(name: str, body: Any) -> None:
    ways = ways_out(Person("p", "ada", 1), read(OLD[name]), ())
    assert next((way.body for way in ways if way.what == "correct"), None) == body


async def test_a_decision_is_written_as_the_version_before_wrote_it(house: House) -> None:
    path = await house.person(interests=["music"])
    for purpose in ("tone", "content"):
        await house.consent("text", purpose)
    ada = await house.known("ada")

    async def members(answer: Any) -> dict[str, set[str]]:
        kept = await house.services.storage.decisions.get(answer["decision"], ada.pseudonym)
        body = msgspec.json.decode(msgspec.json.encode(kept))
        return {name: set(part) for name, part in body.items() if isinstance(part, dict)}

    def before(name: str) -> dict[str, set[str]]:
        return {part: set(body) for part, body in OLD[name].items() if isinstance(body, dict)}

    message = await members(await house.message("I can't sleep, I'm terrified of tomorrow."))
    message["tone"].discard("correction")  # newer
    assert message == before("message_with_a_mood")
    limited = await house.call("POST", f"{path}/rank", headers=house.headers | {"Sec-GPC": "1"}, json={})
    assert await members(limited) == before("with_gpc")


async def test_a_decision_that_ranked_nothing_can_be_neither_rewarded_nor_activated(house: House) -> None:
    await house.person()
    asked = {"model": "any", "user": "ada", "messages": [{"role": "user", "content": "Hello"}]}
    decision = (await house.call("POST", "/v1/chat/completions", asked))["attune"]["decision"]
    reward = {"item": "a", "kind": "click"}
    for path, body in (("reward", reward), ("activate", None)):
        refused = await house.call("POST", f"/v1/decisions/{decision}/{path}", body, status=404)
        assert refused["code"] == "decision_unknown"


def test_what_is_as_usual_is_not_written() -> None:
    ranking = msgspec.json.decode(msgspec.json.encode(a_decision(an_item())))["ranking"]
    assert not ranking.keys() & {"diversity", "without_mood", "likes", "taste"}
    assert (ranking["arm"], ranking["active"]) == (None, True)
