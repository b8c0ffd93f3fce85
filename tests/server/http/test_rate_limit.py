"""Rate limits: of an app and of each person, with a clear answer, by a clock that can be moved."""

from __future__ import annotations

import aiohttp
import pytest

from assistant.errors import TooMany
from assistant.profile.access import APP_SCOPES
from assistant.profile.person import App, Person
from assistant.server.http.caller import Caller
from assistant.server.http.rate_limit import Rate, RateLimits, Windows, wait
from tests.clock import Clock
from tests.conftest import OpenHouse

APP = Caller(App("a", "shop", "general"), "key_1", APP_SCOPES)
OTHER = Caller(App("b", "other", "general"), "key_2", APP_SCOPES)
ADA = Caller(APP.app, "t", APP_SCOPES, holder=Person("p1", "ada", 1))


def _taken(limits: RateLimits, caller: Caller, person: str | None, times: int) -> int:
    """How many of so many requests are let through."""
    passed = 0
    for _ in range(times):
        try:
            limits.take(caller, person)
        except TooMany:
            continue
        passed += 1
    return passed


class TestTheLimit:
    def test_is_each_apps_own(self) -> None:
        limits = RateLimits("5/minute", "none", Clock())
        assert [_taken(limits, caller, None, 9) for caller in (APP, OTHER)] == [5, 5]

    def test_is_each_persons_own_whoever_asks_about_them(self) -> None:
        limits = RateLimits("none", "5/minute", Clock())
        assert _taken(limits, APP, "ada", 3) == 3
        assert _taken(limits, ADA, "me", 1) + _taken(limits, ADA, None, 1) == 2
        assert _taken(limits, APP, "ada", 1) == 0
        assert [_taken(limits, APP, "bob", 9), _taken(limits, OTHER, "ada", 9)] == [5, 5]

    def test_of_somebody_else_is_not_used_up_by_a_token(self) -> None:
        limits = RateLimits("none", "5/minute", Clock())
        assert _taken(limits, ADA, "bob", 9) == 5
        assert _taken(limits, APP, "bob", 9) == 5

    def test_is_not_the_persons_where_nobody_is_named(self) -> None:
        assert _taken(RateLimits("none", "1/minute", Clock()), APP, None, 9) == 9

    def test_passes_with_time_and_never_twice_as_many_around_the_end_of_a_window(self) -> None:
        clock = Clock()
        clock.now -= clock.now % 60
        limits = RateLimits("60/minute", "none", clock)
        clock.now += 59
        assert _taken(limits, APP, None, 100) == 60
        clock.now += 2
        assert _taken(limits, APP, None, 100) <= 2
        clock.now += 29
        assert _taken(limits, APP, None, 100) in range(25, 35)

    @pytest.mark.parametrize("used", [1, 5, 9, 10])
    def test_says_when_it_is_worth_trying_again_and_is_right(self, used: int) -> None:
        clock = Clock()
        limits = RateLimits("10/minute", "none", clock)
        _taken(limits, APP, None, used)
        clock.now += 60
        _taken(limits, APP, None, 20)
        for _ in range(20):
            with pytest.raises(TooMany) as refused:
                limits.take(APP, None)
            assert 0 <= refused.value.wait_s <= 60
            clock.now += refused.value.wait_s + 1e-3
            limits.take(APP, None)
            _taken(limits, APP, None, 20)

    def test_keeps_no_count_of_those_who_went_away(self) -> None:
        clock = Clock()
        windows = Windows(clock)
        for person in range(10_000):
            clock.now += 1
            windows.hit(Rate(10, 60), f"p{person}")
        assert len(windows) < 5_000

    def test_waiting_is_never_longer_than_what_is_left(self) -> None:
        for before in range(20):
            for count in range(11):
                if before + count >= 10:
                    assert wait(10, 60, before=before, count=count, left_s=60) <= 60


class TestTheServer:
    async def test_answers_429_with_the_seconds_to_wait(self, open_house: OpenHouse) -> None:
        house = await open_house(affect="absent", rate_person="3/minute")
        await house.person()
        for _ in range(2):
            await house.call("GET", "/v1/people/ada")
        async with house.client.get("/v1/people/ada", headers=house.headers) as answer:
            assert (answer.status, answer.content_type) == (429, "application/problem+json")
            assert (await answer.json(content_type=None))["code"] == "rate_limited"
            wait_s = int(answer.headers["Retry-After"])
        await house.person("bob")
        house.clock.now += wait_s
        await house.call("GET", "/v1/people/ada")

    async def test_counts_streams_that_are_opened(self, open_house: OpenHouse) -> None:
        house = await open_house(affect="absent", rate_person="3/minute")
        await house.person()
        for _ in range(2):
            await (await house.stream()).socket.close()
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await house.stream()
        assert refused.value.status == 429

    async def test_counts_what_is_refused_too_so_that_names_can_not_be_guessed_quickly(
        self, open_house: OpenHouse
    ) -> None:
        house = await open_house(affect="absent", rate_app="30/minute")
        statuses = []
        for n in range(40):
            async with house.client.get(f"/v1/people/guess{n}", headers=house.headers) as answer:
                statuses.append(answer.status)
        assert statuses.count(404) == 29, "one request put the catalogue"
        assert statuses.count(429) == 11

    async def test_leaves_health_alone(self, open_house: OpenHouse) -> None:
        house = await open_house(affect="absent", rate_app="1/minute")
        for _ in range(5):
            await house.call("GET", "/healthz")
