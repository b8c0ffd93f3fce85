"""The client of a language model's server: how long it waits, when it tries again, when it leaves off."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.chat.budget import Budget, DailyLimit, Prices, Usage
from assistant.chat.relay import Events
from assistant.chat.upstream import Breaker, Patience, Upstream, UpstreamRefused
from assistant.errors import TooMany, Unavailable
from tests.chat.upstream import KEY, FakeUpstream, breaking_off, failing, part, running_upstream, say, words
from tests.clock import Clock

PATIENT = Patience(connect_s=5.0, first_s=20.0, between_s=20.0, total_s=20.0, retries=2)


@pytest.fixture
async def fake() -> AsyncIterator[FakeUpstream]:
    async with running_upstream() as upstream:
        yield upstream


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def connected(client: aiohttp.ClientSession, url: str, patience: Patience = PATIENT, **more: Any) -> Upstream:
    more.setdefault("chance", lambda: 0.0)
    return Upstream(client, url, KEY, patience, **more)


async def streamed(upstream: Upstream, got: list[bytes] | None = None) -> list[bytes]:
    got = [] if got is None else got
    async for data in upstream.stream(b'{"stream": true}'):
        got.append(data)
    return got


def hanging(*parts: Any) -> Any:
    async def answer(upstream: FakeUpstream, request: Any, body: Any) -> Any:
        if not parts:
            await asyncio.Event().wait()
        return await say(request, [*parts, asyncio.Event()])

    return answer


# Passing on


async def test_it_sends_the_bytes_and_the_key_and_gives_back_the_bytes(
    fake: FakeUpstream, client: aiohttp.ClientSession
) -> None:
    upstream = connected(client, fake.url + "/")
    body = b'{"messages":[],"odd":1.50}'
    assert json.loads(await upstream.complete(body)) == fake.whole
    assert fake.raw == [body]
    assert fake.headers[0]["Authorization"] == f"Bearer {KEY}"
    got = await streamed(upstream)
    assert [json.loads(data) for data in got[:-1]] == fake.parts
    assert got[-1] == b"[DONE]"


async def test_it_lists_the_models(fake: FakeUpstream, client: aiohttp.ClientSession) -> None:
    assert [m["id"] for m in json.loads(await connected(client, fake.url).models())["data"]] == ["m1", "m2"]


@given(st.lists(st.binary(min_size=1, max_size=5).filter(lambda d: not set(d) & set(b"\r\n") and d[0] != 32)),
       st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 7))  # fmt: skip
def test_events_are_the_same_however_the_bytes_are_cut(told: list[bytes], end: bytes, size: int) -> None:
    stream = b"".join(b": a comment" + end + b"event: x" + end + b"data: " + data + end + end for data in told)
    events = Events()
    found = [data for i in range(0, len(stream), size) for data in events.feed(stream[i : i + size])]
    assert found == told


def test_an_event_without_an_end_is_refused() -> None:
    events = Events()
    for _ in range(4):
        events.feed(b"data: " + b"x" * 1_000_000)
    with pytest.raises(Unavailable, match="too large"):
        events.feed(b"x" * 1_000_000)


# Trying again


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_a_server_that_is_away_for_a_moment_is_asked_again(
    fake: FakeUpstream, client: aiohttp.ClientSession, status: int
) -> None:
    fake.answers = [failing(status), failing(status)]
    assert len(await streamed(connected(client, fake.url))) == 5
    assert len(fake.asked) == 3


async def test_a_connection_that_breaks_before_the_first_byte_is_tried_again(
    fake: FakeUpstream, client: aiohttp.ClientSession
) -> None:
    fake.answers = [breaking_off(), breaking_off()]
    assert len(await streamed(connected(client, fake.url))) == 5


async def test_it_gives_up_after_so_many_tries(fake: FakeUpstream, client: aiohttp.ClientSession) -> None:
    fake.answers = [failing(503)] * 9
    with pytest.raises(Unavailable) as raised:
        await streamed(connected(client, fake.url))
    assert raised.value.code == "upstream_failed"
    assert len(fake.asked) == 3


async def test_after_the_first_byte_nothing_is_tried_again(
    fake: FakeUpstream, client: aiohttp.ClientSession
) -> None:
    fake.answers = [breaking_off(part({"content": "Hel"}))]
    got: list[bytes] = []
    with pytest.raises(Unavailable) as raised:
        await streamed(connected(client, fake.url), got)
    assert (len(got), raised.value.code, len(fake.asked)) == (1, "upstream_interrupted", 1)


async def test_a_refusal_is_handed_on_with_its_words_and_not_repeated(
    fake: FakeUpstream, client: aiohttp.ClientSession
) -> None:
    words_of_it = '{"error": {"message": "too long", "code": "context_length_exceeded"}}'
    fake.answers = [failing(400, words_of_it)]
    with pytest.raises(UpstreamRefused) as raised:
        await connected(client, fake.url).complete(b"{}")
    assert (raised.value.status, raised.value.body.decode(), len(fake.asked)) == (400, words_of_it, 1)


@pytest.mark.parametrize("status", [401, 403])
async def test_words_about_our_key_are_kept_from_everybody(
    fake: FakeUpstream, client: aiohttp.ClientSession, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fake.answers = [failing(status, f'{{"error": "Incorrect API key provided: {KEY}"}}')]
    upstream = connected(client, fake.url)
    with pytest.raises(Unavailable) as raised:
        await upstream.complete(b"{}")
    assert raised.value.code == "upstream_unauthorized"
    for told in (caplog.text, str(raised.value), repr(raised.value), repr(upstream)):
        assert KEY not in told


async def test_the_pause_before_a_try_is_a_random_part_of_a_time_that_doubles(
    fake: FakeUpstream, client: aiohttp.ClientSession
) -> None:
    fake.answers = [failing(503)] * 3
    asked_for: list[int] = []

    def chance() -> float:
        asked_for.append(len(fake.asked))
        return 0.01

    with pytest.raises(Unavailable):
        await connected(client, fake.url, chance=chance).complete(b"{}")
    assert asked_for == [1, 2, 3]


# Waiting


async def test_nobody_listens(client: aiohttp.ClientSession) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        with pytest.raises(Unavailable) as raised:
            await connected(client, url).complete(b"{}")
    assert raised.value.code == "upstream_unreachable"


@pytest.mark.parametrize(
    ("patience", "parts"),
    [
        (replace(PATIENT, first_s=0.05), ()),
        (replace(PATIENT, between_s=0.05), words("Hel")[:2]),
        (replace(PATIENT, total_s=0.05), ()),
        (replace(PATIENT, total_s=0.05), words("Hel")[:2]),
    ],
    ids=["the first token", "the next token", "the whole, before", "the whole, in the midst"],
)
async def test_it_waits_so_long_and_no_longer_for(
    fake: FakeUpstream, client: aiohttp.ClientSession, patience: Patience, parts: Sequence[Any]
) -> None:
    fake.answers = [hanging(*parts)]
    got: list[bytes] = []
    with pytest.raises(Unavailable) as raised:
        await streamed(connected(client, fake.url, patience), got)
    assert (len(got), raised.value.code, len(fake.asked)) == (len(parts), "upstream_timeout", 1)
    await asyncio.wait_for(fake.gone.wait(), 5)


async def test_a_whole_answer_has_the_whole_time(fake: FakeUpstream, client: aiohttp.ClientSession) -> None:
    fake.answers = [hanging()]
    patience = replace(PATIENT, first_s=0.01, between_s=0.01, total_s=0.1)
    with pytest.raises(Unavailable) as raised:
        await connected(client, fake.url, patience).complete(b"{}")
    assert raised.value.code == "upstream_timeout"


async def test_who_stops_listening_ends_the_request(fake: FakeUpstream, client: aiohttp.ClientSession) -> None:
    fake.answers = [hanging(*words("Hel")[:2])]
    events = connected(client, fake.url).stream(b"{}")
    await anext(events)
    await events.aclose()
    await asyncio.wait_for(fake.gone.wait(), 5)


# Leaving off


async def test_who_fails_again_and_again_is_left_alone_and_then_tried_once(
    fake: FakeUpstream, client: aiohttp.ClientSession
) -> None:
    clock = Clock(100.0)
    upstream = connected(client, fake.url, replace(PATIENT, retries=0), clock=clock)
    fake.answers = [failing(500)] * 5
    for _ in range(5):
        with pytest.raises(Unavailable) as raised:
            await upstream.complete(b"{}")
        assert raised.value.code == "upstream_failed"
    with pytest.raises(Unavailable) as raised:
        await upstream.complete(b"{}")
    assert (raised.value.code, len(fake.asked)) == ("upstream_resting", 5)
    clock.now += 10
    await upstream.complete(b"{}")
    assert upstream.breaker.state == "closed"


async def test_refusals_and_listeners_who_leave_are_no_failures(
    fake: FakeUpstream, client: aiohttp.ClientSession
) -> None:
    upstream = connected(client, fake.url, breaker=Breaker(failures_to_open=1))
    fake.answers = [failing(429), hanging(*words("Hel")[:2])]
    with pytest.raises(UpstreamRefused):
        await upstream.complete(b"{}")
    events = upstream.stream(b"{}")
    await anext(events)
    await events.aclose()
    assert upstream.breaker.state == "closed"


def test_only_one_probes_and_a_failed_probe_begins_another_rest() -> None:
    breaker = Breaker(failures_to_open=1, rest_s=10).after_failure(0.0).after_request(10.0)
    assert not breaker.admits(10.0)
    assert not breaker.admits(19.9)
    assert breaker.admits(20.0), "a probe that never came back doesn't close the way for ever"
    again = breaker.after_failure(12.0)
    assert (again.state, again.admits(21.0), again.admits(22.0), again.wait_s(21.0)) == ("open", False, True, 1.0)
    assert breaker.after_abandonment(11.0).admits(11.0)


@given(
    st.lists(st.sampled_from(["after_success", "after_failure", "after_request", "after_abandonment"])),
    st.integers(1, 4),
)
def test_a_breaker_opens_only_after_so_many_failures_in_a_row_and_a_success_closes_it(
    steps: list[str], limit: int
) -> None:
    breaker, row = Breaker(failures_to_open=limit), 0
    for now, step in enumerate(steps):
        row = 0 if step == "after_success" else row + (step == "after_failure")
        was = breaker.state
        breaker = breaker.after_success() if step == "after_success" else getattr(breaker, step)(float(now))
        if step == "after_success":
            assert breaker.state == "closed"
        if was == "closed" and breaker.state != "closed":
            assert row >= limit
        assert breaker.admits(now + 1000.0)


# What it may cost


def spend(budget: Budget, person: str | None, most: int, came_to: int, now: float = 0.0) -> None:
    with budget.spending("app", person, Usage(0, most), now) as spending:
        spending.usage = Usage(0, came_to)


def test_a_day_s_tokens_are_counted_by_what_they_came_to_and_begin_anew_each_day() -> None:
    budget = Budget(Prices(), DailyLimit(tokens=100), DailyLimit())
    spend(budget, "p", 100, 40)
    spend(budget, "q", 60, 50)
    with pytest.raises(TooMany) as raised:
        spend(budget, "r", 11, 0, now=3600.0)
    assert (raised.value.code, raised.value.wait_s) == ("budget_exceeded", 23 * 3600.0)
    spend(budget, "r", 100, 0, now=86_400.0)
    assert budget.used_today("app", 0.0) == (90, 0.0) or budget.used_today("app", 86_400.0) == (0, 0.0)


def test_one_person_can_t_use_up_what_is_for_all() -> None:
    budget = Budget(Prices(), DailyLimit(tokens=1000), DailyLimit(tokens=50))
    spend(budget, "p", 50, 50)
    with pytest.raises(TooMany, match="person"):
        spend(budget, "p", 1, 1)
    spend(budget, "q", 50, 50)
    spend(budget, None, 500, 500)


def test_requests_at_the_same_time_can_t_exceed_a_limit_together() -> None:
    budget = Budget(Prices(prompt=0.0, completion=10.0), DailyLimit(cost=1.0), DailyLimit())
    with budget.spending("app", "p", Usage(0, 60_000), 0.0) as first:
        with pytest.raises(TooMany):
            spend(budget, "q", 60_000, 0)
        first.usage = Usage(9, 1_000)
    spend(budget, "q", 60_000, 60_000)
    tokens, cost = budget.used_today("app", 0.0)
    assert tokens == 61_009
    assert cost == pytest.approx(0.61)


def test_a_request_that_fails_costs_what_it_came_to() -> None:
    budget = Budget(Prices(), DailyLimit(tokens=10), DailyLimit())

    def failing_request() -> None:
        with budget.spending("app", None, Usage(0, 10), 0.0) as spending:
            spending.usage = Usage(2, 0)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        failing_request()
    assert budget.used_today("app", 0.0) == (2, 0.0)
