"""The attributes that an app declares, and those that no app may."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.errors import Invalid
from assistant.profile.attribute_schema import SENSITIVE, check_attributes, check_schema, sensitive_topic

CANARY = "canary-7f3a91"


def refused(check: Any, *arguments: Any) -> str:
    with pytest.raises(Invalid) as error:
        check(*arguments)
    assert CANARY not in error.value.message, "an error does not quote what a person sent"
    return error.value.code


TEAM = {"type": "string", "enum": ["red", "blue"], "title": "Team"}
ATTRIBUTES: dict[str, Any] = {
    "team": TEAM,
    "level": {"type": "integer", "minimum": 1, "maximum": 9},
    "ratio": {"type": "number"},
    "member": {"type": "boolean"},
    "colours": {"type": "array", "items": {"type": "string", "maxLength": 10}, "maxItems": 2},
}


def test_attributes_of_the_schema_are_accepted() -> None:
    check_schema(ATTRIBUTES)
    check_attributes(ATTRIBUTES, {"team": "red", "level": 9, "ratio": 1, "member": True, "colours": ["a", "b"]})
    check_attributes(ATTRIBUTES, {})


@pytest.mark.parametrize(
    ("attributes", "code"),
    [
        ({"shoe": 42}, "attribute_unknown"),
        ({"team": CANARY}, "attribute_invalid"),
        ({"team": 1}, "attribute_invalid"),
        ({"level": 0}, "attribute_invalid"),
        ({"level": 10}, "attribute_invalid"),
        ({"level": True}, "attribute_invalid"),
        ({"level": 1.5}, "attribute_invalid"),
        ({"ratio": "1"}, "attribute_invalid"),
        ({"ratio": float("nan")}, "attribute_invalid"),
        ({"member": 1}, "attribute_invalid"),
        ({"colours": "red"}, "attribute_invalid"),
        ({"colours": ["a", "b", "c"]}, "attribute_invalid"),
        ({"colours": [CANARY]}, "attribute_invalid"),
        ({"colours": [["a"]]}, "attribute_invalid"),
    ],
)
def test_attributes_beside_the_schema_are_refused(attributes: dict[str, Any], code: str) -> None:
    assert refused(check_attributes, ATTRIBUTES, attributes) == code


@pytest.mark.parametrize(
    "schema",
    [
        {"Team": TEAM},
        {"": TEAM},
        {"a" * 65: TEAM},
        {"team": None},
        {"team": {}},
        {"team": {"type": "object"}},
        {"team": {"type": ["string"]}},
        {"team": {"type": "string", "pattern": "(a+)+$"}},
        {"team": {"type": "string", "enum": []}},
        {"team": {"type": "string", "enum": [1]}},
        {"team": {"type": "string", "maxLength": 0}},
        {"team": {"type": "integer", "minimum": "1"}},
        {"team": {"type": "array"}},
        {"team": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}},
        {f"a{i}": TEAM for i in range(65)},
    ],
)
def test_only_a_small_part_of_json_schema_is_understood(schema: dict[str, Any]) -> None:
    assert refused(check_schema, schema) == "schema_invalid"


@pytest.mark.parametrize(
    "name",
    ["stress", "mood_today", "last_emotion", "is_sad_sentiment", "diagnosis", "mental_health", "religion",
     "ethnicity", "sexual_orientation", "political_party", "trade_union", "voiceprint", "credit_limit",
     "churn_risk", "max_price", "personality_type", "depression"],
)  # fmt: skip
def test_an_attribute_may_not_be_named_after_what_a_profile_must_not_hold(name: str) -> None:
    assert refused(check_schema, {name: TEAM}) == "attribute_sensitive"


@pytest.mark.parametrize("name", ["team", "embrace_change", "temperature_unit", "seat", "nickname", "saddle"])
def test_harmless_names_are_left_alone(name: str) -> None:
    assert sensitive_topic(name) is None


def test_every_kind_of_sensitive_name_is_found_in_camel_case_too() -> None:
    for what, roots in SENSITIVE.items():
        for root in roots:
            assert sensitive_topic(f"last{root.title().replace('_', '')}") or "_" in root, (what, root)
