"""PostgreSQL behind PgBouncer in transaction mode: any transaction may run in another process of the server."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from assistant.store.changes import changes_of
from assistant.store.database import Database
from assistant.store.migrate import migrate
from assistant.store.postgres import connect_postgres, is_pooled
from tests.conftest import Databases, OpenHouse
from tests.store.test_changes import WITHIN_S, Worker, opens, until

pytestmark = pytest.mark.slow

SETTINGS = """[databases]
* = host={server} user=attune
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = 6432
auth_type = any
pool_mode = transaction
default_pool_size = 3
"""


@pytest.fixture
def pooler(postgres: Any) -> Iterator[Path]:
    """The folder of PgBouncer's socket."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("there is no pgbouncer here")
    folder = postgres.folder / "pooler"
    folder.mkdir()
    (folder / "settings.ini").write_text(SETTINGS.format(server=folder.parent, folder=folder))
    who: dict[str, Any] = {}
    if os.geteuid() == 0:
        owner = folder.parent.stat()
        os.chown(folder, owner.st_uid, owner.st_gid)
        who = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    running = subprocess.Popen(
        [program, "-q", str(folder / "settings.ini")], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **who
    )
    try:
        for _ in range(200):
            if (folder / ".s.PGSQL.6432").exists():
                break
            assert running.poll() is None, "pgbouncer does not start"
            time.sleep(0.02)
        yield folder
    finally:
        running.terminate()
        running.wait()
        shutil.rmtree(folder)


def through(pooler: Path, url: str) -> str:
    """The URL of the same database, through the pooler."""
    return f"{url.partition('?')[0]}?host={pooler}&port=6432"


async def test_a_pooler_is_seen(postgres: Any, pooler: Path) -> None:
    for url, expected in ((postgres.url(), False), (through(pooler, postgres.url()), True)):
        connection = await connect_postgres(url)
        assert await is_pooled(connection) is expected
        await connection.close()


async def test_many_readers_and_writers_share_few_servers_and_a_second_start_works(
    postgres: Any, pooler: Path
) -> None:
    url = through(pooler, postgres.create("pooled"))
    for _ in range(2):
        migrate(url)
        databases = [Database(url) for _ in range(3)]

        async def use(database: Database, number: int) -> None:
            for k in range(10):
                asked = {"number": number * 100 + k}
                query = text(f"SELECT CAST(:number AS INTEGER) + {number % 4}")
                row = await database.row(query, asked)
                assert row[0] == asked["number"] + number % 4
                async with database.write() as connection:
                    await database.take_turns(connection, 7)
                    await connection.execute(text("UPDATE alembic_version SET version_num = version_num"))

        await asyncio.gather(*(use(database, n) for n, database in enumerate(databases * 5)))
        for database in databases:
            await database.close()
    direct = await connect_postgres(postgres.url("pooled"))
    assert await direct.fetchval("SELECT count(*) FROM pg_prepared_statements") <= 1
    await direct.close()


async def test_a_withdrawal_counts_elsewhere_in_time(pooler: Path, postgres_databases: Databases) -> None:
    url = through(pooler, postgres_databases.main)
    async with AsyncExitStack() as stack:
        one, two = Worker(url, "one"), Worker(url, "two")
        for worker in (one, two):
            stack.push_async_callback(worker.database.close)
            stack.push_async_callback(worker.records.close)
            await stack.enter_async_context(worker.ledger.following(changes_of(worker.database, worker.records)))
            await until(lambda worker=worker: worker.ledger.trusted)  # type: ignore[misc]
        await two.decide(True)
        await until(lambda: one.events() == ["granted"])
        grant = await one.grant()
        await two.decide(False)
        assert await until(lambda: not opens(one.ledger, grant)) < WITHIN_S


async def test_a_whole_house_stands_behind_a_pooler(
    pooler: Path, open_house: OpenHouse, postgres_databases: Databases
) -> None:
    main, keys = (through(pooler, url) for url in (postgres_databases.main, postgres_databases.keys))
    house = await open_house(database=main, keys=keys)
    path = await house.person()
    await house.consent("text", "tone")
    answers = await asyncio.gather(*(house.message("I am so worried about tomorrow.") for _ in range(20)))
    assert all(answer["mood"] is not None for answer in answers)
    await house.call("DELETE", path, status=204)
    await house.call("GET", path, status=404)
