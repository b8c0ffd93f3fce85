"""A policy of tone: read, checked with clear words, described by its schema, brought by an app."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import msgspec
import pytest

from assistant.emotion import Mood
from assistant.errors import Invalid, Unavailable
from assistant.profile.person import Profile
from assistant.store import schema as tables
from assistant.tone import situation
from assistant.tone.law import LAWS
from assistant.tone.rules import SHIPPED, Policy, check_policy, read_policy, schema
from assistant.tone.situation import Situation
from tests.conftest import House
from tests.tone.tones import ANGRY, LIVELY, PLAIN, SAD, TENSE, mood


def a_rule(**change: Any) -> dict[str, Any]:
    return {"code": "mine", "says": "Mine.", "when": {"goodbye": True}, "sets": {"pace": "slow"}} | change


def a_policy(*rules: dict[str, Any], **change: Any) -> dict[str, Any]:
    return {"version": "mine-1", "rules": list(rules or [a_rule()])} | change


_WRONG: list[tuple[Any, str]] = [
    ([], "the policy: Expected `object`"),
    ({"rules": []}, "the policy: Object missing required field `version`"),
    (a_policy(version="No!"), "`version`: Expected `str` matching regex"),
    (a_policy(manner={"warmth": "icy"}), "`manner.warmth`: Invalid enum value"),
    (
        a_policy(a_rule(), a_rule(code="b", sets={"pace": "hectic"})),
        "rule 2 (`b`), `sets.pace`: Invalid enum value",
    ),
    (
        a_policy(a_rule(when={"stress_at_least": 0.2})),
        "rule 1 (`mine`), `when.stress_at_least`: Expected `float` >= 0.5",
    ),
    (a_policy(a_rule(when={"rich": True})), "rule 1 (`mine`), `when`: Object contains unknown field"),
    (a_policy(a_rule(sets={"anger": "yes"})), "rule 1 (`mine`), `sets`: Object contains unknown field"),
    (a_policy(a_rule(sets={})), "rule 1 (`mine`), `sets`: changes nothing"),
    (a_policy(a_rule(when={})), "rule 1 (`mine`), `when`: names nothing"),
    (
        a_policy(a_rule(when={"goodbye": True, "none_of": [{}]})),
        "rule 1 (`mine`), `when.none_of[0]`: names nothing",
    ),
    (a_policy(a_rule(when={"at_least": 0.7})), "rule 1 (`mine`), `when.at_least`: needs an `emotion`"),
    (
        a_policy(a_rule(when={"valence_above": 0.5, "valence_below": 0.1})),
        "rule 1 (`mine`), `when.valence_above`: can't hold together with `valence_below`",
    ),
    (a_policy(a_rule(), a_rule()), "rule 2 (`mine`), `code`: another rule has it already"),
    (a_policy(a_rule(code="law_anger")), "rule 1 (`law_anger`), `code`: is reserved"),
    (a_policy({"code": "x"}), "rule 1 (`x`): Object missing required field `says`"),
    (a_policy(version="tone-9"), "`version`: names that begin with `tone-`"),
]


@pytest.mark.parametrize(("raw", "says"), _WRONG, ids=lambda part: part if isinstance(part, str) else "")
def test_what_is_wrong_with_a_policy_is_said_with_its_rule_and_member(raw: Any, says: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_policy(raw, own=True)
    assert caught.value.message.startswith(says), caught.value.message
    assert caught.value.code == "policy_invalid"


def test_a_file_that_is_no_toml_is_no_policy() -> None:
    with pytest.raises(Invalid, match="not TOML"):
        read_policy(b"rules = [")


def test_the_schema_is_one_and_accepts_what_the_check_accepts() -> None:
    described = schema()
    jsonschema.Draft202012Validator.check_schema(described)
    validator = jsonschema.Draft202012Validator(described)
    validator.validate(json.loads(msgspec.json.encode(SHIPPED)))
    validator.validate(a_policy())
    check_policy(a_policy(), own=True)


@pytest.mark.parametrize("raw", [raw for raw, says in _WRONG[:8]], ids=range(8))
def test_the_schema_refuses_every_wrong_shape(raw: Any) -> None:
    assert not jsonschema.Draft202012Validator(schema()).is_valid(raw)


def test_the_shipped_policy_survives_being_stored() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SHIPPED), type=Policy) == SHIPPED


def test_every_fact_is_decided_and_named_as_an_input() -> None:
    names = set(situation.Facts.__struct_fields__)
    assert set(situation.OF_MOOD) | set(situation.OF_REST) == names
    assert set(situation.INPUT_OF) == names


_FACTS: dict[str, tuple[Any, Situation, Situation]] = {
    "valence_above": (0.2, Situation(PLAIN, LIVELY), Situation(PLAIN, SAD)),
    "valence_below": (0.0, Situation(PLAIN, SAD), Situation(PLAIN, mood(-0.6, deviation=5.0))),
    "arousal_above": (0.2, Situation(PLAIN, LIVELY), Situation(PLAIN)),
    "arousal_below": (0.0, Situation(PLAIN, SAD), Situation(PLAIN, LIVELY)),
    "stress_at_least": (0.6, Situation(PLAIN, TENSE), Situation(PLAIN, Mood.unsaid("too_short", 0.0))),
    "emotion": ("anger", Situation(PLAIN, ANGRY), Situation(PLAIN, mood(anger=0.4))),
    "emotion_among": (
        ("sadness", "neutral"),
        Situation(PLAIN, replace(SAD, emotion_set=("sadness",))),
        Situation(PLAIN, replace(SAD, emotion_set=("sadness", "fear"))),
    ),
    "disagreement": (True, Situation(PLAIN, replace(SAD, disagreement=True)), Situation(PLAIN, SAD)),
    "formality": ("formal", Situation(Profile(formality="formal")), Situation(PLAIN)),
    "plain_language": (True, Situation(Profile(plain_language=True)), Situation(PLAIN)),
    "short_sentences": (True, Situation(Profile(short_sentences=True)), Situation(PLAIN)),
    "languages": (("de", "fr"), Situation(Profile(language="fr")), Situation(PLAIN)),
    "countries": (("JP",), Situation(Profile(country="JP")), Situation(PLAIN)),
    "urgency": ("high", Situation(PLAIN, urgency="high"), Situation(PLAIN)),
    "quiet_hours": (True, Situation(PLAIN, quiet_hours=True), Situation(PLAIN)),
    "turns_at_least": (3, Situation(PLAIN, turns=3), Situation(PLAIN, turns=2)),
    "turns_at_most": (3, Situation(PLAIN, turns=3), Situation(PLAIN, turns=4)),
    "goodbye": (True, Situation(PLAIN, goodbye=True), Situation(PLAIN)),
    "repeated_at_least": (1, Situation(PLAIN, repeated=1), Situation(PLAIN)),
}
"""A value of each fact, a situation in which it holds and one in which it doesn't."""


@pytest.mark.parametrize("name", sorted(set(situation.Facts.__struct_fields__) - {"at_least"}))
def test_every_fact_holds_where_it_should_and_only_there(name: str) -> None:
    value, yes, no = _FACTS[name]
    said = situation.Condition(**{name: value})
    assert said.holds(yes)
    assert not said.holds(no)


def test_a_condition_needs_one_of_any_and_nothing_of_none() -> None:
    when = situation.Condition(
        any_of=(situation.Facts(goodbye=True), situation.Facts(urgency="high")),
        none_of=(situation.Facts(turns_at_least=5),),
    )
    assert when.holds(Situation(PLAIN, goodbye=True))
    assert when.holds(Situation(PLAIN, urgency="high", turns=4))
    assert not when.holds(Situation(PLAIN))
    assert not when.holds(Situation(PLAIN, goodbye=True, turns=5))


async def test_an_app_brings_its_own_policy_and_goes_back_to_the_shipped_one(house: House) -> None:
    await house.person(formality="formal")
    shipped = await house.call("GET", "/v1/tone-policy")
    assert (shipped["shipped"], shipped["policy"]["version"]) == (True, "tone-2")
    assert [law["code"] for law in shipped["laws"]] == [law.code for law in LAWS]
    mine = a_policy(a_rule(code="brisk", when={"turns_at_least": 1}, sets={"pace": "brisk", "formality": "casual"}))
    assert not (await house.call("PUT", "/v1/tone-policy", mine))["shipped"]
    said = (await house.message("Hello there"))["directive"]
    assert (said["policy"], said["pace"], said["formality"]) == ("mine-1", "brisk", "formal")
    assert [reason["code"] for reason in said["reasons"]] == ["brisk", "profile_formality"]
    assert (await house.message("bye"))["directive"]["pace"] == "normal"  # no law may be switched off
    other = await house.services.storage.apps.create_key("other", "general")
    assert (await house.call("GET", "/v1/tone-policy", headers={"Authorization": f"Bearer {other}"}))["shipped"]
    assert (await house.call("DELETE", "/v1/tone-policy"))["shipped"]
    assert (await house.message("Hello there"))["directive"]["policy"] == "tone-2"


async def test_a_wrong_policy_changes_nothing_and_says_where_it_is_wrong(house: House) -> None:
    wrong = a_policy(a_rule(sets={"pace": "hectic"}))
    problem = await house.call("PUT", "/v1/tone-policy", wrong, status=400)
    assert problem["code"] == "policy_invalid"
    assert problem["detail"].startswith("rule 1 (`mine`), `sets.pace`:")
    await house.call("PUT", "/v1/tone-policy", data=b"{", status=400)
    await house.call("PUT", "/v1/tone-policy", data=b" " * 70_000, status=413)
    assert (await house.call("GET", "/v1/tone-policy"))["shipped"]


async def test_a_policy_may_come_as_toml_and_its_schema_is_public(house: House) -> None:
    toml = house.headers | {"Content-Type": "application/toml"}
    body = b"""
        version = "mine-2"
        [[rules]]
        code = "a"
        says = "A."
        when = { goodbye = true }
        sets = { pace = "slow" }
    """
    assert (await house.call("PUT", "/v1/tone-policy", data=body, headers=toml))["policy"]["version"] == "mine-2"
    described = await house.call("GET", "/v1/tone-policy/schema", headers={})
    jsonschema.validate((await house.call("GET", "/v1/tone-policy"))["policy"], described)


async def test_a_stored_policy_that_can_not_be_read_is_not_replaced_in_silence(house: House) -> None:
    await house.person()
    await house.call("PUT", "/v1/tone-policy", a_policy())
    async with house.services.storage.policies._database.write() as connection:
        await connection.execute(tables.policies.update().values(body=b'{"version": 1}'))
    problem = await house.call("POST", "/v1/people/ada/messages", {"text": "Hello"}, status=503)
    assert problem["code"] == "policy_unreadable"
    app = await house.app()
    with pytest.raises(Unavailable):
        await house.services.storage.policies.get(app.id)


async def test_what_is_urgent_is_said_by_the_app(house: House) -> None:
    await house.person()
    body = {"text": "Where is my train?", "context": {"urgency": "high", "screen": "small"}}
    said = (await house.call("POST", "/v1/people/ada/messages", body))["directive"]
    assert "context_urgent" in [reason["code"] for reason in said["reasons"]]
    body["context"] = {"urgency": "now!"}
    await house.call("POST", "/v1/people/ada/messages", body, status=400)
