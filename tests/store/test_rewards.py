"""Rewards: worth by a table, durable before they are acknowledged, counted once, learned alike by every worker."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.emotion import Estimate, Reading
from assistant.errors import Invalid
from assistant.profile.person import Profile
from assistant.recommend.features import SIZE
from assistant.recommend.feedback import LATE_S, Reward, State, learn, pack, reward_of, unpack
from assistant.store.apps import Apps
from assistant.store.database import Database
from assistant.store.keys import LocalKeys, Vault, open_vault
from assistant.store.migrate import migrate
from assistant.store.people import People
from assistant.store.rewards import Rewards
from tests.conftest import ROOT, House, OpenHouse

NOW = 1_800_000_000.0
Features = tuple[float, ...]


def features(seed: int) -> Features:
    return tuple((np.random.default_rng(seed).normal(size=SIZE) * 0.2).tolist())


def outcome(seed: int = 0, **change: Any) -> Reward:
    made = Reward("a", "click", 0.3, 0.1, NOW, NOW - 60, features(seed))
    return replace(made, **change)


def same(one: State, other: State) -> bool:
    return (
        one.number == other.number
        and dict(one.popularity) == dict(other.popularity)
        and np.allclose(one.belief.precision, other.belief.precision, atol=1e-9)
        and np.allclose(one.belief.moment, other.belief.moment, atol=1e-9)
        and np.allclose(one.belief.mean, other.belief.mean, atol=1e-9)
    )


# Worth


@pytest.mark.parametrize(
    ("kind", "value", "worth"),
    [
        ("click", 1.0, 0.3),
        ("completion", 0.4, 0.4),
        ("dwell", 0.0, 0.0),
        ("dwell", 90.0, 0.75),
        ("rating", 1.0, 0.0),
        ("rating", 5.0, 1.0),
        ("conversion", 1.0, 1.0),
        ("none", 1.0, 0.0),
    ],
)
def test_each_kind_of_reward_has_its_worth(kind: Any, value: float, worth: float) -> None:
    assert reward_of(kind, value) == pytest.approx(worth)


@pytest.mark.parametrize(("kind", "value"), [("rating", 0.0), ("dwell", -1.0), ("click", float("nan"))])
def test_an_impossible_value_is_refused(kind: Any, value: float) -> None:
    with pytest.raises(Invalid) as refused:
        reward_of(kind, value)
    assert refused.value.code == "reward_value"


# Learning


def test_a_packed_state_comes_back_as_it_was() -> None:
    state = learn(State(), [outcome(n, item=f"i{n % 3}") for n in range(30)], 30)
    assert same(unpack(pack(state)), state)
    assert state.belief.count == 30


def test_a_snapshot_and_the_rest_of_the_log_are_the_whole_log() -> None:
    rewards = [outcome(n, reward=n / 40, at=NOW + n) for n in range(40)]
    whole = learn(State(), rewards, 40)
    half = unpack(pack(learn(State(), rewards[:25], 25)))
    assert same(learn(half, rewards[25:], 40), whole)


def test_a_very_late_reward_and_the_sale_of_an_offer_teach_nothing() -> None:
    late = outcome(decided_at=NOW - LATE_S - 1)
    sold = outcome(kind="conversion", commercial=True)
    state = learn(State(), [late, sold, outcome(features=())], 3)
    assert state.belief.count == 0
    assert state.number == 3


def test_nothing_commercial_becomes_popular() -> None:
    assert learn(State(), [outcome(commercial=True)], 1).popularity == {}


# The log


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Database, Vault]]:
    database, keys = Database(f"sqlite:///{folder}/attune.db"), Database(f"sqlite:///{folder}/keys.db")
    try:
        yield database, await open_vault(keys, LocalKeys([bytes(32)]))
    finally:
        await database.close()
        await keys.close()


async def _person(folder: Path) -> tuple[str, str]:
    migrate(f"sqlite:///{folder}/attune.db")
    async with opened(folder) as (database, vault):
        apps = Apps(database, lambda: NOW)
        app = (await apps.authenticate(await apps.create_key("test", "general"))).app
        person, _ = await People(database, vault, lambda: NOW).put(app, "ada", Profile())
        return app.id, person.pseudonym


async def test_the_same_key_counts_once_and_an_erased_person_is_left_out(tmp_path: Path) -> None:
    app, person = await _person(tmp_path)
    async with opened(tmp_path) as (database, vault):
        log = Rewards(database, vault)
        assert await log.add(app, person, "d1", "k", outcome())
        assert not await log.add(app, person, "d1", "k", outcome(reward=1.0))
        assert await log.add(app, person, "d2", "k", outcome(1))
        number, rewards = await log.after(app, 0)
        assert [one.reward for one in rewards] == [0.3, 0.3]
        assert await log.after(app, number) == (number, [])
        await log.keep(app, 2, b"new")
        await log.keep(app, 1, b"old")
        assert await log.snapshot(app) == (2, b"new")
        await vault.destroy(person)
        assert await log.after(app, 0) == (number, [])


_WRITER = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from tests.store.test_rewards import opened, outcome
from assistant.store.rewards import Rewards

async def write():
    async with opened(Path(sys.argv[1])) as (database, vault):
        log = Rewards(database, vault)
        for n in range(100_000):
            await log.add(sys.argv[2], sys.argv[3], f"d{n}", "k", outcome(n % 50, reward=n % 7 / 7))
            print(n, flush=True)

asyncio.run(write())
"""


def _killed(arguments: list[str]) -> int:
    """Start a writer, kill it in the middle of its work, and say which reward it acknowledged last."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    writer = subprocess.Popen(arguments, stdout=subprocess.PIPE, env=environment)
    assert writer.stdout is not None
    acknowledged = -1
    for line in writer.stdout:
        acknowledged = int(line)
        if acknowledged >= 40:
            break
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    writer.stdout.close()
    return max([acknowledged, *(int(n) for n in rest)])


async def test_after_kill_9_the_state_is_that_of_the_acknowledged_rewards(tmp_path: Path) -> None:
    app, person = await _person(tmp_path)
    acknowledged = _killed([sys.executable, "-c", _WRITER, str(tmp_path), app, person])
    async with opened(tmp_path) as (database, vault):
        number, rewards = await Rewards(database, vault).after(app, 0)
    # every acknowledged one is there; the one that was being written may be there too
    assert len(rewards) in (acknowledged + 1, acknowledged + 2)
    wanted = [outcome(n % 50, reward=n % 7 / 7) for n in range(len(rewards))]
    assert same(learn(State(), rewards, number), learn(State(), wanted, number))


# As an app sees it


async def _decided(house: House, path: str, **body: Any) -> Any:
    return await house.call("POST", f"{path}/rank", {"slots": 3, **body})


async def test_a_reward_is_counted_once_and_says_by_which_rule(house: House) -> None:
    path = await house.person()
    decided = await _decided(house, path)
    item = decided["recommendations"][0]["id"]
    reward = f"/v1/decisions/{decided['decision']}/reward"
    first = await house.call("POST", reward, {"item": item, "kind": "rating", "value": 4}, status=201)
    assert (first["reward"], first["counted"]) == (0.75, True)
    again = await house.call("POST", reward, {"item": item, "kind": "rating", "value": 4})
    assert again["counted"] is False
    await house.call("POST", reward, {"item": item, "kind": "click", "key": "mine"}, status=201)


async def test_a_reward_for_what_was_never_recommended_is_refused(house: House) -> None:
    path = await house.person()
    decided = await _decided(house, path)
    reward = f"/v1/decisions/{decided['decision']}/reward"
    body: dict[str, Any] = {"item": "nothing", "kind": "click"}
    assert (await house.call("POST", reward, body, status=404))["code"] == "item_not_recommended"
    assert (await house.call("POST", "/v1/decisions/none/reward", body, status=404))["code"] == "decision_unknown"
    body = {"item": decided["recommendations"][0]["id"], "kind": "rating", "value": 9}
    assert (await house.call("POST", reward, body, status=400))["code"] == "reward_value"


async def test_another_app_can_neither_reward_nor_explain(house: House) -> None:
    path = await house.person()
    decision = (await _decided(house, path))["decision"]
    other = {"Authorization": f"Bearer {await house.services.storage.apps.create_key('other', 'general')}"}
    await house.call("GET", f"/v1/decisions/{decision}/explain", status=404, headers=other)
    body = {"item": "a", "kind": "click"}
    await house.call("POST", f"/v1/decisions/{decision}/reward", body, status=404, headers=other)


async def test_what_was_ranked_ahead_is_rewarded_only_once_it_is_shown(house: House) -> None:
    path = await house.person()
    decided = await _decided(house, path, activate="later")
    body = {"item": decided["recommendations"][0]["id"], "kind": "click"}
    reward = f"/v1/decisions/{decided['decision']}/reward"
    assert (await house.call("POST", reward, body, status=409))["code"] == "decision_inactive"
    await house.call("POST", f"/v1/decisions/{decided['decision']}/activate")
    await house.call("POST", reward, body, status=201)


async def test_rewards_change_what_is_recommended_and_survive_a_restart(house: House) -> None:
    path = await house.person()
    for _ in range(12):
        decided = await _decided(house, path)
        for one in decided["recommendations"]:
            body = {"item": one["id"], "kind": "completion", "value": float(one["kind"] == "exercise")}
            await house.call("POST", f"/v1/decisions/{decided['decision']}/reward", body, status=201)
    assert "learned" in (await _decided(house, path))["recommendations"][0]["parts"]
    app = (await house.app()).id
    known = await house.services.recommender.learner.state(app, NOW)
    number, rewards = await house.services.storage.rewards.after(app, 0)
    assert known.belief.count == len(rewards) == 36
    assert same(known, learn(State(), rewards, number))


# The mood


async def _tense(house: House, path: str, name: str = "ada") -> None:
    await house.consent("text", "content")
    app = await house.app()
    readings = house.services.readings(app, await house.services.storage.people.get(app, name))
    grant = await readings.grant("text")
    assert grant is not None
    tense = Reading("text", Estimate(-0.6, 0.1), Estimate(0.6, 0.1), 0.9, {"fear": 1.0})
    await readings.take_in(grant, tense)


async def test_explain_tells_parts_that_sum_and_what_it_would_have_been_without_the_mood(house: House) -> None:
    path = await house.person(interests=["cooking"])
    await _tense(house, path)
    decided = await _decided(house, path)
    told = await house.call("GET", f"/v1/decisions/{decided['decision']}/explain")
    told = told["ranking"]
    assert told["mood_used"] is True
    assert len(told["without_mood"]) == 3
    assert any("mood_stress" in one["parts"] for one in told["items"])
    for one in told["items"]:
        assert one["score"] == pytest.approx(sum(one["parts"].values()), abs=1e-4)
        assert all(reason["says"] for reason in one["reasons"])


async def test_what_is_kept_of_a_decision_has_no_number_of_the_mood(house: House) -> None:
    path = await house.person()
    await _tense(house, path)
    decided = await _decided(house, path)
    app = (await house.app()).id
    kept = (await house.services.storage.decisions.find(app, decided["decision"])).ranking
    assert kept.mood_used is True
    assert len(kept.context) == 8
    assert not any(name.startswith("mood") for item in kept.items for name in item.parts)


async def _taught(house: House, path: str, before: Callable[[], Any] | None = None) -> Reward:
    """Rank, do something, reward the first item, and give what was kept of that."""
    decided = await _decided(house, path)
    if before is not None:
        await before()
    body = {"item": decided["recommendations"][0]["id"], "kind": "click"}
    await house.call("POST", f"/v1/decisions/{decided['decision']}/reward", body, status=201)
    app = (await house.app()).id
    latest: Reward = (await house.services.storage.rewards.after(app, 0))[1][-1]
    return latest


def _has_mood(one: Reward) -> bool:
    return bool(np.any(np.reshape(one.features, (11, 16))[8:])) or one.felt != 0


async def test_a_reward_keeps_the_mood_only_of_who_lets_it_be_remembered(house: House) -> None:
    path = await house.person()
    await _tense(house, path)
    assert not _has_mood(await _taught(house, path))
    await house.consent("text", "remember")
    assert _has_mood(await _taught(house, path))
    await house.consent("text", "remember", granted=False)
    app = (await house.app()).id
    assert not any(_has_mood(one) for one in (await house.services.storage.rewards.after(app, 0))[1])


async def test_a_reward_after_the_mood_is_gone_teaches_without_it(house: House) -> None:
    path = await house.person()
    await _tense(house, path)
    await house.consent("text", "remember")

    async def withdraw() -> None:
        await house.consent("text", "content", granted=False)

    async def wait() -> None:
        house.clock.now += 10_000

    assert not _has_mood(await _taught(house, path, wait))
    await _tense(house, path)
    assert not _has_mood(await _taught(house, path, withdraw))


async def test_people_held_out_are_ranked_without_the_mood(open_house: OpenHouse) -> None:
    house = await open_house(mood_holdout=1.0)
    path = await house.person()
    await _tense(house, path)
    decided = await _decided(house, path)
    told = await house.call("GET", f"/v1/decisions/{decided['decision']}/explain")
    assert (told["ranking"]["arm"], told["ranking"]["mood_used"]) == ("blind", False)


async def test_a_context_with_a_mood_in_it_is_refused(house: House) -> None:
    path = await house.person()
    said = await house.call("POST", f"{path}/rank", {"context": {"stressLevel": 0.9}}, status=400)
    assert said["code"] == "attribute_mood"
    await house.call("POST", f"{path}/rank", {"context": {"hour": 7.5, "place": "home", "searches": ["tea"]}})


async def test_all_faults_of_a_catalogue_are_told_before_it_is_put(house: House) -> None:
    item = {"id": "a", "title": "A", "kind": "article"}
    body = {"version": "2", "items": [item, item, {**item, "id": "c", "features": {"price": 0.5}}]}
    told = await house.call("POST", "/v1/catalogue/validate", body)
    assert [fault["code"] for fault in told["first"]] == ["item_id", "attribute_price"]
    assert (await house.call("PUT", "/v1/catalogue", body, status=400))["code"] == "item_id"
    assert (await house.call("GET", "/v1/catalogue"))["items"] == 60


async def test_milliseconds_are_told_before_they_are_put(house: House) -> None:
    item = {"id": "a", "title": "A", "kind": "article", "available_until": 1764000000000}
    body = {"version": "2", "items": [item]}
    (fault,) = (await house.call("POST", "/v1/catalogue/validate", body))["first"]
    assert (fault["code"], "divide it by 1000" in fault["says"]) == ("item_time", True)
    assert (await house.call("PUT", "/v1/catalogue", body, status=400))["code"] == "item_time"


async def test_whatever_id_can_be_put_can_be_rewarded(house: House) -> None:
    path, long = await house.person(), "i" * 256
    items = [{"id": long, "title": "A", "kind": "article"}]
    await house.call("PUT", "/v1/catalogue", {"version": "2", "items": items})
    decided = await _decided(house, path)
    assert [item["id"] for item in decided["recommendations"]] == [long]
    reward = f"/v1/decisions/{decided['decision']}/reward"
    for key in ("k" * 512, None):
        body = {"item": long, "kind": "completion"} | ({"key": key} if key else {})
        assert (await house.call("POST", reward, body, status=201))["counted"]
    await house.call("POST", reward, {"item": long, "kind": "click", "key": "k" * 513}, status=400)
    items[0]["id"] += "i"
    told = await house.call("PUT", "/v1/catalogue", {"version": "3", "items": items}, status=400)
    assert (told["code"], "256" in told["detail"]) == ("item_id", True)


async def test_a_batch_ranks_for_each_by_their_own_consent(house: House) -> None:
    path = await house.person()
    await house.person("bob")
    await _tense(house, path)
    body = {"requests": [{"person": "ada", "slots": 2}, {"person": "bob", "slots": 3}]}
    results = (await house.call("POST", "/v1/rank", body))["results"]
    assert [len(one["recommendations"]) for one in results] == [2, 3]
    assert ["without_mood" in one for one in results] == [True, False]


async def test_erasing_a_person_erases_their_rewards(house: House) -> None:
    path = await house.person()
    decided = await _decided(house, path)
    body = {"item": decided["recommendations"][0]["id"], "kind": "click"}
    await house.call("POST", f"/v1/decisions/{decided['decision']}/reward", body, status=201)
    await house.call("DELETE", path, status=204)
    app = (await house.app()).id
    assert await house.services.storage.rewards.after(app, 0) == (0, [])


async def test_two_rewards_at_once_with_one_key_count_once(house: House) -> None:
    path = await house.person()
    decided = await _decided(house, path)
    reward = f"/v1/decisions/{decided['decision']}/reward"
    body = {"item": decided["recommendations"][0]["id"], "kind": "click", "key": "one"}

    async def send() -> int:
        async with house.client.post(reward, json=body, headers=house.headers) as answer:
            return int(answer.status)

    assert sorted(await asyncio.gather(*(send() for _ in range(5)))) == [200, 200, 200, 200, 201]
