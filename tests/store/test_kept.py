"""What is kept in memory: never older than the feed, and never put back by a reading that a change overtook."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, update

from assistant.errors import NotFound, Unauthenticated
from assistant.profile.person import AppSettings, ContextPart, Profile
from assistant.recommend.catalogue import starter
from assistant.store import schema
from assistant.store.kept import SILENCE_S, KeptInMemory
from assistant.tone.rules import SHIPPED
from tests.conftest import Databases, House, OpenHouse

WITHIN_S = 0.25


class Source:
    """A table of values that counts how often it is read."""

    def __init__(self) -> None:
        self.value, self.reads = "one", 0
        self.now = 0.0
        self.kept = KeptInMemory(clock=lambda: self.now, most=3)

    async def read(self, key: str = "a") -> str:
        async def read() -> str:
            self.reads += 1
            return self.value

        return await self.kept.read((key,), read, lambda _: f"owner of {key}")


async def test_nothing_is_kept_where_no_feed_is_followed() -> None:
    source = Source()
    assert [await source.read(), await source.read()] == ["one", "one"]
    assert source.reads == 2


async def test_what_was_read_counts_until_it_changes() -> None:
    source = Source()
    source.kept.mark_complete(0.0)
    assert [await source.read(), await source.read()] == ["one", "one"]
    assert source.reads == 1
    source.value = "two"
    source.kept.drop("owner of b")
    assert await source.read() == "one"
    source.kept.drop("owner of a")
    assert await source.read() == "two"


async def test_nothing_counts_while_the_feed_is_silent() -> None:
    source = Source()
    source.kept.mark_complete(0.0)
    await source.read()
    source.value, source.now = "two", SILENCE_S
    assert await source.read() == "two"
    source.kept.mark_complete(source.now)
    assert [await source.read(), await source.read()] == ["two", "two"]
    assert source.reads == 3


@pytest.mark.parametrize("everything", [False, True])
async def test_a_reading_that_a_change_overtook_is_not_kept(everything: bool) -> None:
    source, change = Source(), asyncio.Event()
    source.kept.mark_complete(0.0)

    async def slow() -> str:
        await change.wait()
        return "old"

    reading = asyncio.create_task(source.kept.read(("a",), slow, lambda _: "owner of a"))
    await asyncio.sleep(0)
    if everything:
        source.kept.clear()
    else:
        source.kept.drop("owner of a")
    change.set()
    assert await reading == "old"  # it was asked for before the change
    assert await source.read() == "one"


async def test_a_failed_reading_is_not_kept() -> None:
    kept = KeptInMemory(clock=lambda: 0.0)
    kept.mark_complete(0.0)

    async def missing() -> str:
        raise NotFound("no")

    for _ in range(2):
        with pytest.raises(NotFound):
            await kept.read(("a",), missing, lambda _: "a")


async def test_memory_is_bounded_and_what_is_used_stays() -> None:
    source = Source()
    source.kept.mark_complete(0.0)
    for key in ("a", "b", "c", "a", "d"):
        await source.read(key)
    assert source.reads == 4
    await source.read("a")
    assert source.reads == 4
    await source.read("b")
    assert source.reads == 5


@given(st.lists(st.tuples(st.sampled_from(["read", "change", "clear"]), st.sampled_from("abcde")), max_size=60))
def test_a_value_is_never_older_than_the_last_change(steps: list[tuple[str, str]]) -> None:
    now, kept = dict.fromkeys("abcde", 0), KeptInMemory(clock=lambda: 0.0, most=3)
    kept.mark_complete(0.0)

    async def follow() -> None:
        for step, key in steps:
            if step == "change":
                now[key] += 1
                kept.drop(key)
            elif step == "clear":
                kept.clear()
            else:

                async def read(key: str = key) -> tuple[str, int]:
                    return key, now[key]

                assert await kept.read((key,), read, lambda found: found[0]) == (key, now[key])

    asyncio.run(follow())


@pytest.fixture
async def pair(open_house: OpenHouse, databases: Databases) -> tuple[House, House]:
    """Two servers on the same databases, both of which follow the changes."""
    one, two = [await open_house(database=databases.main, keys=databases.keys) for _ in range(2)]
    for house in (one, two):
        await until(lambda house=house: _true(house.services.storage.database.kept.is_complete()))  # type: ignore[misc]
    return one, two


async def _true(value: bool) -> bool:
    return value


async def until(holds: Callable[[], Awaitable[Any]]) -> float:
    """Seconds until something holds."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not await holds():
        assert loop.time() - began < 5, "it never did"
        await asyncio.sleep(0.005)
    return loop.time() - began


async def test_what_another_process_changes_is_seen_in_time(pair: tuple[House, House]) -> None:
    one, two = (house.services.storage for house in pair)
    app = await one.apps.get((await one.apps.authenticate(pair[0].key)).app.id)
    ada, _ = await one.people.put(app, "ada", Profile(interests=("music",)))
    took: dict[str, float] = {}

    assert (await two.people.get(app, "ada")).version == 1
    await one.people.put(app, "ada", Profile(interests=("sleep",)))

    async def new_profile() -> bool:
        return (await two.people.get(app, "ada")).profile.interests == ("sleep",)

    took["profile"] = await until(new_profile)

    assert (await two.people.find_holder(app, ada.pseudonym))[1] == 0
    await one.people.void_tokens(ada)

    async def voided() -> bool:
        return (await two.people.find_holder(app, ada.pseudonym))[1] == 1

    took["tokens"] = await until(voided)

    assert await two.contexts.read_context(ada.pseudonym) == {}
    now = pair[0].clock()
    await one.contexts.put(ada.pseudonym, {"time_zone": ContextPart("Asia/Tokyo", now, now + 60)})

    async def there() -> bool:
        return set(await two.contexts.read_context(ada.pseudonym)) == {"time_zone"}

    took["context"] = await until(there)

    assert await two.policies.get(app.id) is SHIPPED
    await one.policies.put(app.id, SHIPPED)

    async def own_policy() -> bool:
        return await two.policies.get(app.id) is not SHIPPED

    took["policy"] = await until(own_policy)

    before = await two.catalogues.get(app.id)
    await one.catalogues.put(app.id, starter())

    async def other_catalogue() -> bool:
        return await two.catalogues.get(app.id) is not before

    took["catalogue"] = await until(other_catalogue)

    await one.apps.change_settings(app, AppSettings(contact="us"))

    async def other_settings() -> bool:
        return (await two.apps.authenticate(pair[0].key)).app.settings.contact == "us"

    took["settings"] = await until(other_settings)

    await one.people.erase(ada)

    async def gone() -> bool:
        try:
            await two.people.get(app, "ada")
        except NotFound:
            return True
        return False

    took["erasure"] = await until(gone)

    key = await one.apps.authenticate(pair[0].key)
    await one.apps.revoke_key(key.id)

    async def refused() -> bool:
        try:
            await two.apps.authenticate(pair[0].key)
        except Unauthenticated as error:
            return error.code == "key_revoked"
        return False

    took["key"] = await until(refused)
    assert max(took.values()) < WITHIN_S, took


async def test_a_change_made_by_hand_is_seen_too(pair: tuple[House, House]) -> None:
    house, other = pair
    storage = house.services.storage
    key = await storage.apps.authenticate(house.key)
    keys = schema.api_keys
    by_hand = update(keys).where(keys.c.id == key.id).values(expires_at=1.0)
    await other.services.storage.database.execute(by_hand)

    async def expired() -> bool:
        async with house.client.get("/v1/models", headers=house.headers) as answer:
            return answer.status == 401

    assert await until(expired) < WITHIN_S
    await other.services.storage.database.execute(delete(keys).where(keys.c.id == key.id))


async def test_a_request_of_somebody_known_reads_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    database = house.services.storage.database
    await house.call("PUT", "/v1/people/ada", json={}, status=201)
    await until(lambda: _true(database.kept.is_complete()))
    await house.call("GET", "/v1/people/ada")
    asked: list[str] = []
    row = database.row

    async def noted(query: Any, values: dict[str, Any] | None = None) -> Any:
        asked.append(str(query))
        return await row(query, values)

    monkeypatch.setattr(database, "row", noted)
    database.kept.mark_complete(1e12)
    await house.call("GET", "/v1/people/ada")
    assert asked == []
    await house.call("PUT", "/v1/people/ada", json={"interests": ["music"]})
    assert (await house.call("GET", "/v1/people/ada"))["profile"]["interests"] == ["music"]
