"""Quiet hours and time zones of a person."""

from __future__ import annotations

from typing import Any

import pytest

from assistant.errors import Invalid
from assistant.profile.person import QuietHours, is_quiet, time_zone

CANARY = "canary-7f3a91"
NOW = 1_800_000_000.0


def refused(check: Any, *arguments: Any) -> str:
    with pytest.raises(Invalid) as error:
        check(*arguments)
    assert CANARY not in error.value.message, "an error does not quote what a person sent"
    return error.value.code


@pytest.mark.parametrize(
    ("clock", "quiet"),
    [("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("06:59", True), ("07:00", False)],
)
def test_quiet_hours_go_past_midnight(clock: str, quiet: bool) -> None:
    midnight = NOW - NOW % 86_400
    hours, minutes = map(int, clock.split(":"))
    assert is_quiet(QuietHours("22:00", "07:00"), midnight + hours * 3600 + minutes * 60) == quiet


def test_quiet_hours_follow_the_person_s_time_zone_and_summer_time() -> None:
    nap = QuietHours("13:00", "14:00", "Europe/Berlin")
    winter, summer = 1_800_014_400.0, 1_783_944_000.0  # each 12:00 UTC
    assert (winter % 86_400, summer % 86_400) == (43_200, 43_200)
    assert is_quiet(nap, winter)
    assert not is_quiet(nap, summer), "it is 14:00 there"
    assert not is_quiet(nap, winter, "America/New_York")
    assert not is_quiet(None, winter)


@pytest.mark.parametrize("name", ["Mars/Olympus", "../etc/passwd", "", "/etc/passwd", CANARY, "Europe"])
def test_a_time_zone_must_exist(name: str) -> None:
    assert refused(time_zone, name) == "time_zone_unknown"
