"""Recent context: how precise it may be, and how long it lives."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.errors import Invalid
from assistant.profile.person import LIFETIMES_S, PARTS, check_part, lifetime_s

CANARY = "canary-7f3a91"
NOW = 1_800_000_000.0


def refused(check: Any, *arguments: Any) -> str:
    with pytest.raises(Invalid) as error:
        check(*arguments)
    assert CANARY not in error.value.message, "an error does not quote what a person sent"
    return error.value.code


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"latitude": 52.51, "longitude": 13.4}, "location_precise"),
        ({"latitude": 52.5, "longitude": 13.377}, "location_precise"),
        ({"latitude": 91.0, "longitude": 0.0}, "location_invalid"),
        ({"latitude": 0.0, "longitude": float("nan")}, "location_invalid"),
    ],
)
def test_a_precise_location_is_refused(value: dict[str, float], code: str) -> None:
    assert refused(check_part, "location", value) == code


def test_every_tenth_of_a_degree_is_coarse_enough() -> None:
    for tenths in range(-1800, 1801):
        place = {"latitude": 0.0, "longitude": tenths / 10}
        assert check_part("location", place) == place


def test_each_part_has_a_usual_and_a_longest_life() -> None:
    for part in PARTS:
        usual, most = LIFETIMES_S[part]
        assert lifetime_s(part, None) == usual <= most == lifetime_s(part, most)
        assert refused(lifetime_s, part, most + 1) == "ttl_invalid"
