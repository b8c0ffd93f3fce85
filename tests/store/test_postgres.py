"""What is particular to PostgreSQL: servers that go away, processes that come at once, and a whole house on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import text

from assistant.cli import main
from assistant.config import Settings
from assistant.errors import ConfigInvalid, Invalid
from assistant.store import schema
from assistant.store.apps import Apps
from assistant.store.database import Database, StorageFailed
from assistant.store.migrate import migrate
from tests.conftest import Databases, OpenHouse

pytestmark = pytest.mark.slow

WORRY = "I am so worried about tomorrow, everything is going wrong."


@pytest.fixture
def fragile(postgres: Any) -> Iterator[Any]:
    """The server, for tests that stop it; it runs again afterwards."""
    yield postgres
    if not postgres.running:
        postgres.start()


async def test_a_server_that_is_gone_is_a_storage_failure_and_found_again(
    fragile: Any, postgres_databases: Databases
) -> None:
    database = Database(postgres_databases.main)
    try:
        apps = Apps(database, lambda: 0.0)
        key = await apps.create_key("shop", "general")
        fragile.stop()
        for _ in range(2):
            with pytest.raises(StorageFailed) as refused:
                await apps.authenticate(key)
            assert refused.value.code == "storage_failed"
        fragile.start()
        assert ((await apps.authenticate(key)).app).name == "shop"
        await apps.close()
    finally:
        await database.close()


async def test_a_server_that_goes_in_the_middle_of_a_transaction_leaves_nothing_of_it(
    fragile: Any, postgres_databases: Databases
) -> None:
    database = Database(postgres_databases.main)
    values = {"id": "a", "name": "a", "context": "general", "created_at": 0.0}

    async def halfway() -> None:
        async with database.write() as connection:
            await connection.execute(schema.apps.insert().values(**values))
            fragile.stop()

    try:
        with pytest.raises(StorageFailed):
            await halfway()
        fragile.start()
        async with database.write() as connection:
            assert (await connection.execute(schema.apps.select())).all() == []
            await connection.execute(schema.apps.insert().values(**values))
    finally:
        await database.close()


async def test_whoever_can_not_be_reached_or_logged_into_is_a_storage_failure_without_the_password(
    postgres: Any,
) -> None:
    for url in (
        postgres.url("none"),
        postgres.url().replace("attune@", "bob:canary@"),
        "postgresql://attune:canary@localhost:1/attune",
    ):
        with pytest.raises(StorageFailed) as refused:
            migrate(url)
        assert "canary" not in refused.value.message
        database = Database(url)
        with pytest.raises(StorageFailed) as refused:
            async with database.read():
                pass
        assert "canary" not in refused.value.message
        await database.close()


def test_processes_that_migrate_at_once_wait_for_each_other(postgres: Any) -> None:
    url = postgres.create("at_once")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(migrate, url) for _ in range(4)]:
            done.result()

    async def version() -> Any:
        database = Database(url)
        async with database.read() as connection:
            found = (await connection.execute(text("SELECT version_num FROM alembic_version"))).all()
        await database.close()
        return found

    assert len(asyncio.run(version())) == 1


async def test_turns_are_taken_across_connections(postgres_databases: Databases) -> None:
    one, other = Database(postgres_databases.main), Database(postgres_databases.main)
    order: list[str] = []
    holding, may_go = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with one.write() as connection:
            await one.take_turns(connection, 7)
            holding.set()
            await may_go.wait()
            order.append("first")

    async def second() -> None:
        await holding.wait()
        async with other.write() as connection:
            asked = asyncio.ensure_future(other.take_turns(connection, 7))
            async with one.read() as watching:
                waits = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
                while not await watching.scalar(waits):
                    await watching.rollback()
            may_go.set()
            await asked
            order.append("second")

    await asyncio.gather(first(), second())
    assert order == ["first", "second"]
    await one.close()
    await other.close()


async def test_two_processes_that_make_the_same_app_make_one(postgres_databases: Databases) -> None:
    one, other = Database(postgres_databases.main), Database(postgres_databases.main)
    made = await asyncio.gather(
        *(Apps(db, lambda: 0.0).create_key("shop", "general") for db in (one, other)), return_exceptions=True
    )
    keys = [key for key in made if isinstance(key, str)]
    assert keys
    assert all(isinstance(failed, StorageFailed | Invalid) for failed in made if failed not in keys)
    async with one.read() as connection:
        assert len((await connection.execute(schema.apps.select())).all()) == 1
    await one.close()
    await other.close()


async def test_a_whole_house_stands_on_postgresql(open_house: OpenHouse, postgres_databases: Databases) -> None:
    house = await open_house(database=postgres_databases.main, keys=postgres_databases.keys)
    path = await house.person()
    for purpose in ("tone", "content", "remember"):
        await house.consent("text", purpose)
    assert (await house.message(WORRY))["mood"] is not None
    assert len((await house.call("GET", f"{path}/mood/history"))["moods"]) == 1
    async with house.client.get(f"{path}/export", headers=house.headers) as answer:
        assert b'"record":"end"' in await answer.read()
    await house.consent("text", "remember", granted=False)
    await house.call("DELETE", path, status=204)
    await house.call("GET", path, status=404)


async def test_a_house_answers_503_while_its_database_is_gone_and_recovers(
    fragile: Any, open_house: OpenHouse, postgres_databases: Databases
) -> None:
    house = await open_house(database=postgres_databases.main, keys=postgres_databases.keys)
    path = await house.person()
    fragile.stop()
    assert (await house.call("GET", path, status=503))["code"] == "storage_failed"
    fragile.start()
    assert (await house.call("GET", path))["person"] == "ada"


def test_the_commands_work_on_postgresql_and_show_no_password(
    postgres: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main_url, keys_url = postgres.create("commands"), postgres.create("commandkeys")
    monkeypatch.setenv("ATTUNE_DATABASE", main_url.replace("attune@", "attune:canary@"))
    monkeypatch.setenv("ATTUNE_KEYS", keys_url)
    monkeypatch.setenv("ATTUNE_MASTER_KEY", "ab" * 32)
    assert main(["migrate"]) == 0
    assert main(["keys", "create", "--app", "shop"]) == 0
    assert main(["people", "erase", "--app", "shop", "--person", "nobody"]) == 1
    said = capsys.readouterr()
    assert "canary" not in said.out + said.err


def test_a_database_and_its_keys_are_kept_apart() -> None:
    url = "postgresql://attune@db/attune"
    with pytest.raises(ConfigInvalid, match="different databases"):
        Settings(database=url, keys=url)
    with pytest.raises(ConfigInvalid):
        Database("mysql://attune@db/attune")
