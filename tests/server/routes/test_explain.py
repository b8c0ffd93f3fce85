"""Why something was chosen: true to what was decided, silent about what is gone, and nobody else's to read."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from assistant.conversation.memory import MoodsUsed, MoodsUsedMemory
from assistant.decision import Decision, ReadModalities, ToneDecision, modalities_of
from assistant.emotion import Estimate, Evidence, Mood
from assistant.errors import Invalid
from assistant.profile.person import Person, Profile
from assistant.recommend.catalogue import starter
from assistant.recommend.decision import CORRECTIONS, DecidedItem
from assistant.server.routes.explain import certainty, explain, ways_out
from assistant.server.routes.mood import CorrectionBody
from assistant.tone.policy import direct
from assistant.tone.rules import SHIPPED, Policy, check_policy
from assistant.tone.situation import Situation
from tests.conftest import House
from tests.decisions import a_ranking, an_item
from tests.rankings import rank

WORRY = "Three deadlines tomorrow, I can't sleep and I'm terrified I will mess it all up."
NUMBERS = re.compile(r"-?\d\.\d\d ± \d\.\d\d")


def a_mood(**change: Any) -> Mood:
    parts: dict[str, Any] = {
        "valence": Estimate(-0.4, 0.2),
        "arousal": Estimate(0.5, 0.25),
        "stress": 0.8,
        "emotions": {"fear": 1.0},
        "evidence": (Evidence("text", 1.0, 0.0),),
        "at": 0.0,
        "expires_at": 900.0,
        "confidence": 0.6,
    }
    return Mood(**parts | change)


async def explanation(house: House, answer: dict[str, Any], **more: Any) -> Any:
    return await house.call("GET", f"/v1/decisions/{answer['decision']}/explain", **more)


class TestWithoutAMood:
    async def test_it_says_that_none_was_used(self, house: House) -> None:
        await house.person(formality="formal")
        said = await explanation(house, await house.message(WORRY))
        assert said["person"] == "ada"
        assert said["at"] == house.clock.now
        assert said["mood"] == {"tone": None, "content": None}
        tone = said["tone"]
        assert (tone["mood_used"], tone["read"]) == (False, [])
        assert "mood" not in tone["inputs"]
        assert "profile.formality" in tone["inputs"]
        assert [rule["code"] for rule in tone["rules"]] == ["profile_formality"]
        assert tone["counterfactual"] == "No mood was used."
        assert not NUMBERS.search(" ".join(said["words"]))
        assert [way["what"] for way in said["can_do"]] == ["look"]

    async def test_a_ranking_is_explained_by_what_the_profile_says(self, house: House) -> None:
        path = await house.person(interests=["music"])
        ranked = await house.call("POST", f"{path}/rank", {"slots": 3})
        said = await explanation(house, ranked)
        assert said["tone"] is None
        assert [item["id"] for item in said["ranking"]["items"]] == [r["id"] for r in ranked["recommendations"]]
        assert said["ranking"]["without_mood"] == [r["id"] for r in ranked["recommendations"]]
        assert all(0 < item["propensity"] <= 1 and item["reason"] for item in said["ranking"]["items"])


Told = tuple[House, Any, Any]
"""A house, an answer, and its explanation."""


class TestWithAMood:
    @pytest.fixture
    async def told(self, house: House) -> Told:
        """A house, an answer that used the mood for both, and its explanation."""
        await house.person()
        await house.consent("text", "tone")
        await house.consent("text", "content")
        answer = await house.message(WORRY)
        return house, answer, await explanation(house, answer)

    async def test_it_tells_what_was_read_how_sure_that_was_and_which_rules_fired(self, told: Told) -> None:
        _, answer, said = told
        tone = said["tone"]
        assert (tone["mood_used"], tone["read"], tone["inputs"][-1]) == (True, ["text"], "mood")
        assert tone["rules"] == answer["directive"]["reasons"]
        assert {name: tone["manner"][name] for name in ("pace", "warmth")} == {
            name: answer["directive"][name] for name in ("pace", "warmth")
        }
        assert said["mood"]["tone"]["valence"] == answer["mood"]["valence"]
        words = " ".join(said["words"])
        assert NUMBERS.search(words)
        assert all(rule["says"] in words for rule in tone["rules"])
        assert said["statement"] == "an estimate of expression"

    async def test_it_tells_what_would_have_been_without_the_mood(self, told: Told) -> None:
        _, answer, said = told
        assert said["tone"]["without_mood"] == answer["directive"]["without_mood"]
        assert said["tone"]["counterfactual"] == answer["directive"]["counterfactual"]
        blind = rank(starter().items, Profile(), None, slots=5, seed=answer["decision"])
        assert said["ranking"]["without_mood"] == [offer.item.id for offer in blind]
        assert said["ranking"]["without_mood"] != [offer["id"] for offer in answer["recommendations"]]
        assert len(said["ranking"]["without_mood"]) == len(said["ranking"]["items"])

    async def test_every_way_out_can_be_sent_as_it_is(self, told: Told) -> None:
        house, _, said = told
        ways = {(way["what"], (way["body"] or {}).get("purpose")): way for way in said["can_do"]}
        assert set(ways) == {("correct", None), ("withdraw", "tone"), ("withdraw", "content"), ("look", None)}
        await house.call("GET", ways["look", None]["path"])
        correct = ways["correct", None]
        await house.call(correct["method"], correct["path"], correct["body"])
        for purpose in ("tone", "content"):
            way = ways["withdraw", purpose]
            await house.call(way["method"], way["path"], way["body"], status=201)
        assert (await house.message(WORRY))["mood"] is None

    async def test_the_values_are_gone_when_the_mood_expires(self, told: Told) -> None:
        house, answer, _ = told
        house.clock.now += 10_000
        said = await explanation(house, answer)
        assert said["mood"] == {"tone": None, "content": None}
        assert not NUMBERS.search(" ".join(said["words"]))
        assert "gone by now" in " ".join(said["words"])
        assert said["tone"]["rules"] == answer["directive"]["reasons"]

    async def test_the_values_are_gone_at_once_when_consent_is(self, told: Told) -> None:
        house, answer, _ = told
        await house.consent("text", "content", granted=False)
        said = await explanation(house, answer)
        assert said["mood"] == {"tone": None, "content": None}
        assert not NUMBERS.search(" ".join(said["words"]))

    async def test_no_value_of_a_mood_is_written_to_the_disk(self, told: Told) -> None:
        house, answer, _ = told
        app = await house.app()
        pseudonym = (await house.services.storage.people.get(app, "ada")).pseudonym
        kept = await house.services.storage.decisions.get(answer["decision"], pseudonym)
        written = msgspec.json.decode(msgspec.json.encode(kept))
        assert set(written) == {"version", "read", "ranking", "tone"}
        names = {"policy", "inputs", "reasons", "says", "manner", "without_mood", "never", "correction"}
        assert set(written["tone"]) == names
        assert written["tone"]["correction"] == {"stress": False}  # the rule's, whatever the estimate was
        assert written["read"] == {"tone": ["text"], "content": ["text"]}

    async def test_tone_only_leaves_the_ranking_without_a_mood(self, house: House) -> None:
        await house.person()
        await house.consent("text", "tone")
        said = await explanation(house, await house.message(WORRY))
        assert said["mood"]["tone"] is not None
        assert said["mood"]["content"] is None
        assert said["ranking"]["counterfactual"] == "No mood was used."

    async def test_a_chat_s_tone_is_explained_without_any_ranking(self, house: House) -> None:
        await house.person()
        await house.consent("text", "tone")
        asked = {"model": "any", "user": "ada", "messages": [{"role": "user", "content": WORRY}]}
        chat = (await house.call("POST", "/v1/chat/completions", asked))["attune"]
        said = await explanation(house, chat)
        assert said["ranking"] is None
        assert said["tone"]["rules"] == chat["directive"]["reasons"]
        assert said["mood"]["tone"] is not None


class TestWhoMayAsk:
    async def test_an_unknown_decision_and_that_of_another_app_answer_the_same(self, house: House) -> None:
        await house.person()
        answer = await house.message(WORRY)
        key = await house.services.storage.apps.create_key("other", "general")
        theirs = await explanation(house, answer, headers={"Authorization": f"Bearer {key}"}, status=404)
        unknown = await house.call("GET", "/v1/decisions/nothing/explain", status=404)
        assert theirs == unknown
        assert unknown["code"] == "decision_unknown"
        await explanation(house, {"decision": "x" * 129}, status=404)
        await explanation(house, answer, headers={}, status=401)

    async def test_an_erased_person_s_decisions_are_gone(self, house: House) -> None:
        path = await house.person()
        await house.consent("text", "tone")
        answer = await house.message(WORRY)
        await house.call("DELETE", path, status=204)
        assert (await explanation(house, answer, status=404))["code"] == "decision_unknown"

    async def test_a_name_that_needs_quoting_is_quoted_in_the_calls(self, house: House) -> None:
        await house.call("PUT", "/v1/people/a%2Fb%20c", {}, status=201)
        answer = await house.call("POST", "/v1/people/a%2Fb%20c/messages", {"text": "hello"})
        look = (await explanation(house, answer))["can_do"][-1]
        assert look["path"] == "/v1/people/a%2Fb%20c"


class TestWhatIsKeptInMemory:
    def test_the_mood_of_a_decision_is_known_until_it_expires(self) -> None:
        used, mood = MoodsUsedMemory(), a_mood()
        used.add("d", MoodsUsed("ada", mood, None))
        assert used.find("d", 899.0) == MoodsUsed("ada", mood, None)
        assert used.find("d", 900.0) is None
        assert used.find("d", 0.0) is None  # it was dropped, not hidden

    def test_each_use_expires_for_itself(self) -> None:
        used, short, long = MoodsUsedMemory(), a_mood(expires_at=10.0), a_mood()
        used.add("d", MoodsUsed("ada", short, long))
        assert used.find("d", 10.0) == MoodsUsed("ada", None, long)

    def test_forgetting_a_person_leaves_the_others(self) -> None:
        used, mood = MoodsUsedMemory(), a_mood()
        used.add("d", MoodsUsed("ada", mood, None))
        used.add("e", MoodsUsed("bob", mood, None))
        used.forget("ada")
        assert used.find("d", 0.0) is None
        assert used.find("e", 0.0) is not None


def ranked_with_mood(*read: str, items: tuple[DecidedItem, ...] = (), without: tuple[str, ...] = ()) -> Decision:
    ranking = a_ranking(*items, inputs=("mood",), without_mood=without)
    return Decision(read=ReadModalities((), read), ranking=ranking)


def test_an_abstention_is_explained_as_one() -> None:
    used = MoodsUsed("ada", None, Mood.unsaid("too_noisy", 0.0))
    assert "There was no estimate: too_noisy." in explain(ranked_with_mood("voice"), used, {}, []).words


def test_disagreement_is_said() -> None:
    kept = ranked_with_mood("voice", "text", items=(an_item("a"),), without=("b",))
    words = " ".join(explain(kept, MoodsUsed("ada", None, a_mood(disagreement=True)), {}, []).words)
    assert "voice and text disagree" in words
    assert "Without the mood the order would be: b." in words


def test_what_is_too_uncertain_is_not_put_into_numbers() -> None:
    words = certainty(a_mood(unsure=("valence_too_wide",), emotion_set=("sadness", "neutral")))
    assert "pleasantness is too uncertain to be said" in words
    assert len(NUMBERS.findall(words)) == 1
    assert "can't be ruled out: sadness, neutral" in words


# Corrections

LOW = {"valence": Estimate(-0.6, 0.1), "arousal": Estimate(-0.4, 0.1), "stress": 0.1, "emotions": {"sadness": 1.0}}
ANGRY = {"valence": Estimate(-0.6, 0.1), "arousal": Estimate(0.4, 0.1), "emotions": {"anger": 0.9}}


def toned(mood: Mood | None, policy: Policy = SHIPPED, **profile: Any) -> Decision:
    """A decision about the tone for that mood."""
    directive, _ = direct(Situation(Profile(**profile), mood), policy)
    return Decision(read=ReadModalities(modalities_of(mood), ()), tone=ToneDecision.from_directive(directive))


def offered(kept: Decision) -> list[Any]:
    return [way.body for way in ways_out(Person("p", "ada", 1), kept, ()) if way.what == "correct"]


@pytest.mark.parametrize(
    ("mood", "body"),
    [
        (a_mood(**LOW), {"valence": 0.0}),
        (a_mood(**ANGRY, stress=0.1), {"emotion": "neutral"}),
        (a_mood(**ANGRY, stress=0.9), {"stress": False}),
    ],
)
def test_the_correction_of_the_last_rule_that_fired_is_offered(mood: Mood, body: dict[str, Any]) -> None:
    assert offered(toned(mood, formality="formal")) == [body]


def own_policy(**rule: Any) -> Policy:
    when = {"stress_at_least": 0.6}
    raw = {"code": "theirs", "says": "Ours.", "when": when, "sets": {"pace": "slow"}} | rule
    return check_policy({"version": "own-1", "rules": [raw]}, own=True)


def test_an_app_s_own_rule_offers_its_own_correction_or_none() -> None:
    assert offered(toned(a_mood(stress=0.9), own_policy(corrects={"arousal": 0.0}))) == [{"arousal": 0.0}]
    assert offered(toned(a_mood(stress=0.9), own_policy())) == []


def test_without_a_mood_nothing_is_offered_to_correct() -> None:
    assert offered(toned(None, own_policy(corrects={"arousal": 0.0}))) == []


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"corrects": {}}, "`corrects`: says nothing"),
        ({"corrects": {"stress": False}, "when": {"goodbye": True}}, "would correct a mood, and `when` reads none"),
        ({"corrects": {"valence": 2.0}}, "`corrects.valence`"),
    ],
)
def test_a_rule_s_correction_must_fit_what_it_reads(rule: dict[str, Any], complaint: str) -> None:
    with pytest.raises(Invalid, match=re.escape(complaint)):
        own_policy(**rule)


@pytest.mark.parametrize(
    ("codes", "bodies"),
    [
        (("interest", "mood_valence", "mood_stress"), [{"valence": 0.0}]),
        (("mood_learned", "mood_stress"), [{"stress": False}]),
        (("interest", "mood_learned"), []),
    ],
)
def test_where_only_the_ranking_used_the_mood_the_correction_fits_the_largest_part_of_it(
    codes: tuple[str, ...], bodies: list[dict[str, Any]]
) -> None:
    assert offered(ranked_with_mood("text", items=(an_item(codes=codes),))) == bodies


def test_each_correction_that_is_offered_is_one_that_can_be_sent() -> None:
    of_rules = [rule.corrects.named() for rule in SHIPPED.rules if rule.corrects is not None]
    assert len(of_rules) == 5
    for body in (*of_rules, *CORRECTIONS.values()):
        assert msgspec.convert(body, CorrectionBody) is not None


def test_every_shipped_rule_has_words_that_can_stand_in_an_explanation() -> None:
    assert all(rule.says.endswith(".") and len(rule.says) > 20 for rule in SHIPPED.rules)
