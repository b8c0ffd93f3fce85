"""Who read or used a person's data: written in batches, none lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text

from tests.conftest import Databases
from tests.store.profiles import Store, open_profiles

NOW = 1_800_000_000.0


@pytest.fixture
async def store(databases: Databases) -> AsyncIterator[Store]:
    async with open_profiles(databases) as opened:
        yield opened


async def test_equal_accesses_become_one_row_with_a_count(store: Store) -> None:
    for second in range(3):
        store.now = NOW + second
        store.access.note_access("p", "key_1", "GET /v1/people/{person}")
    store.access.note_access("p", "key_2", "GET /v1/people/{person}")
    store.access.note_access("q", "key_1", "GET /v1/people/{person}")
    found = await store.access.list_accesses("p")
    assert [(a.who, a.count, a.at, a.last_at) for a in found] == [
        ("key_2", 1, NOW + 2, NOW + 2),
        ("key_1", 3, NOW, NOW + 2),
    ]
    store.access.note_access("p", "key_1", "GET /v1/people/{person}")
    assert [a.count for a in await store.access.list_accesses("p")] == [1, 1, 3], "what was written is not changed"


async def test_the_access_log_is_paged_newest_first(store: Store) -> None:
    for number in range(5):
        store.access.note_access("p", "key_1", f"action {number}")
    first = await store.access.list_accesses("p", limit=2)
    rest = await store.access.list_accesses("p", before=first[-1].seq, limit=9)
    assert [a.action for a in (*first, *rest)] == [f"action {n}" for n in (4, 3, 2, 1, 0)]


async def test_accesses_are_written_by_themselves_and_at_the_end(sqlite_databases: Databases) -> None:
    async with open_profiles(sqlite_databases) as store:

        async def rows() -> int:
            async with store.main.read() as connection:
                return int(await connection.scalar(text("SELECT count(*) FROM accesses")) or 0)

        async with store.access.writing():
            for number in range(1_000):  # so many that they are written at once
                store.access.note_access("p", "key_1", f"action {number}")
            async with asyncio.timeout(30):
                while not await rows():  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            store.access.note_access("p", "key_1", "the last")
        assert await rows() == 1_001


async def test_accesses_wait_for_a_database_that_is_gone(sqlite_databases: Databases) -> None:
    async with open_profiles(sqlite_databases) as store:
        async with store.main.write() as connection:
            await connection.execute(text("ALTER TABLE accesses RENAME TO elsewhere"))
        store.access.note_access("p", "key_1", "read")
        with pytest.raises(Exception, match="database"):
            await store.access.flush()
        store.access.note_access("p", "key_1", "read")
        async with store.main.write() as connection:
            await connection.execute(text("ALTER TABLE elsewhere RENAME TO accesses"))
        assert [a.count for a in await store.access.list_accesses("p")] == [2]
