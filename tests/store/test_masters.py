"""Master keys: several at once, replaced while servers run, and nothing is lost on the way."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from assistant.cli import main
from assistant.config import Settings
from assistant.errors import ConfigInvalid, Unavailable
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.keys import (
    LocalKeys,
    Vault,
    add_master_key,
    key_id,
    make_master_key,
    masters_of,
    open_vault,
    parse_master_keys,
    read_master_keys,
    retire_master_keys,
)
from tests.conftest import Databases

OLD, NEW = bytes(range(32)), bytes(range(1, 33))


@asynccontextmanager
async def keeping(databases: Databases) -> AsyncIterator[Database]:
    database = Database(databases.keys)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[Database]:
    async with keeping(databases) as opened:
        yield opened


@pytest.fixture
def file(tmp_path: Path) -> Path:
    make_master_key(tmp_path / "master.key")
    return tmp_path / "master.key"


async def sealed_for(vault: Vault, count: int) -> dict[str, bytes]:
    """People with a key each, and something that was sealed with it."""
    for number in range(count):
        await vault.create(f"p{number}")
    return {f"p{n}": await vault.seal(f"p{n}", "profile", f"data {n}".encode()) for n in range(count)}


async def masters_in(database: Database) -> set[str | None]:
    async with database.read() as connection:
        return set(await connection.scalars(select(schema.person_keys.c.master)))


async def test_a_new_master_key_wraps_every_key_and_nothing_is_lost(database: Database, file: Path) -> None:
    vault = await open_vault(database, LocalKeys(file))
    sealed = await sealed_for(vault, 7)
    add_master_key(file)
    batches: list[int] = []
    assert await vault.count_outdated() == 8, "seven people and the root"
    assert await vault.rewrap(batches.append) == sum(batches) == 8
    assert await masters_in(database) == {key_id(read_master_keys(file)[0])}
    assert retire_master_keys(file) == 1
    again = await open_vault(database, LocalKeys(file))
    for number, (person, data) in enumerate(sealed.items()):
        assert await again.open(person, "profile", data) == f"data {number}".encode()


async def test_lookups_and_derived_keys_survive_a_rotation(database: Database) -> None:
    before = await open_vault(database, LocalKeys([OLD]))
    rotating = await open_vault(database, LocalKeys([NEW, OLD]))
    await rotating.rewrap()
    after = await open_vault(database, LocalKeys([NEW]))
    assert after.lookup("app", "ada") == before.lookup("app", "ada")
    assert after.derive(b"tokens") == before.derive(b"tokens") != before.derive(b"else")


async def test_a_running_server_picks_up_the_new_key_and_reads_what_it_wraps(
    database: Database, file: Path
) -> None:
    running = await open_vault(database, LocalKeys(file))
    add_master_key(file)
    other = await open_vault(database, LocalKeys(file))
    await other.create("late")
    data = await other.seal("late", "profile", b"data")
    assert await running.open("late", "profile", data) == b"data"
    await running.create("later")
    async with database.read() as connection:
        table = schema.person_keys
        by = await connection.scalar(select(table.c.master).where(table.c.person == "later"))
    assert by == key_id(read_master_keys(file)[0])


async def test_a_file_that_is_gone_for_a_moment_breaks_no_running_server(database: Database, file: Path) -> None:
    running = await open_vault(database, LocalKeys(file))
    os.unlink(file)  # noqa: PTH108
    await running.create("p")
    assert await running.open("p", "profile", await running.seal("p", "profile", b"data")) == b"data"


@pytest.mark.slow
async def test_a_rotation_that_was_broken_off_goes_on_where_it_stood(
    databases: Databases, database: Database
) -> None:
    vault = await open_vault(database, LocalKeys([OLD]))
    sealed = await sealed_for(vault, 1200)
    rotating = await open_vault(database, LocalKeys([NEW, OLD]))

    def stop(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rotating.rewrap(stop)
    left = await rotating.count_outdated()
    assert left == 701, "one batch of 500 is done"
    for person in ("p0", "p1199"):
        assert await (await open_vault(database, LocalKeys([NEW, OLD]))).open(person, "profile", sealed[person])
    assert await rotating.rewrap() == left
    after = await open_vault(database, LocalKeys([NEW]))
    assert await after.open("p1199", "profile", sealed["p1199"]) == b"data 1199"


async def test_a_key_that_is_destroyed_during_a_rotation_stays_destroyed(database: Database) -> None:
    vault = await open_vault(database, LocalKeys([OLD]))
    await vault.create("p")

    class Erasing(LocalKeys):
        """Erases the person between the reading and the writing of a batch."""

        async def unwrap(self, master: str | None, wrapped: bytes, context: bytes) -> bytes:
            if context == b"p":
                await vault.destroy("p")
            return await super().unwrap(master, wrapped, context)

    rotating = await open_vault(database, Erasing([NEW, OLD]))
    await rotating.rewrap()
    async with database.read() as connection:
        assert list(await connection.scalars(select(schema.person_keys.c.person))) == [""]


async def test_keys_of_before_the_root_are_found_and_opened_again(database: Database) -> None:
    """Databases of the first version: wrapped by the master key, which was also what people were looked up by."""
    await database.create(schema.secrets)
    first = Vault(database, LocalKeys([OLD]), OLD)
    sealed = await sealed_for(first, 2)
    async with database.write() as connection:
        await connection.execute(update(schema.person_keys).values(master=None))
    now = await open_vault(database, LocalKeys([NEW, OLD]))
    assert now.lookup("app", "ada") == first.lookup("app", "ada")
    assert await now.open("p1", "profile", sealed["p1"]) == b"data 1"
    assert await now.rewrap() == 2
    assert await (await open_vault(database, LocalKeys([NEW]))).open("p1", "profile", sealed["p1"]) == b"data 1"


async def test_a_wrong_master_key_founds_no_root_over_keys_that_it_does_not_open(database: Database) -> None:
    await database.create(schema.secrets)
    await Vault(database, LocalKeys([OLD]), OLD).create("p")
    async with database.write() as connection:
        await connection.execute(update(schema.person_keys).values(master=None))
    with pytest.raises(Unavailable) as refused:
        await open_vault(database, LocalKeys([NEW]))
    assert refused.value.code == "master_key_invalid"


async def test_the_column_of_master_keys_is_added_to_a_database_of_before(databases: Databases) -> None:
    async with keeping(databases) as database:
        async with database.write() as connection:
            kind = "BLOB" if database.kind == "sqlite" else "BYTEA"
            await connection.exec_driver_sql(
                f"CREATE TABLE person_keys (person VARCHAR PRIMARY KEY, wrapped {kind} NOT NULL)"
            )
        vault = await open_vault(database, LocalKeys([OLD]))
        await vault.create("p")
        assert await masters_in(database) == {key_id(OLD)}


async def test_two_servers_that_start_at_once_share_one_root(databases: Databases) -> None:
    async with keeping(databases) as one, keeping(databases) as other:
        vaults = await asyncio.gather(*(open_vault(db, LocalKeys([OLD])) for db in (one, other)))
    assert vaults[0].derive(b"x") == vaults[1].derive(b"x")


async def test_a_wrapped_key_of_one_person_does_not_open_as_that_of_another(database: Database) -> None:
    vault = await open_vault(database, LocalKeys([OLD]))
    await vault.create("p")
    table = schema.person_keys
    async with database.write() as connection:
        row = (await connection.execute(select(table).where(table.c.person == "p"))).one()
        await connection.execute(insert(table).values(person="q", wrapped=row.wrapped, master=row.master))
    with pytest.raises(Unavailable):
        await vault.seal("q", "profile", b"data")


@pytest.mark.parametrize("text", ["", "  ", "zz" * 32, "ab" * 31, "ab" * 32 + "," + "ab" * 32, "ab" * 32 + "\nx"])
def test_what_is_no_list_of_master_keys_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        parse_master_keys(text, "the environment")
    assert refused.value.code == "master_key_invalid"
    assert "abab" not in refused.value.message


def test_a_master_key_of_the_environment_counts_in_place_of_the_file_and_is_never_shown(tmp_path: Path) -> None:
    settings = Settings(master_key=OLD.hex(), master_key_file=tmp_path / "none")
    assert OLD.hex() not in repr(settings)
    assert masters_of(settings).first == OLD
    with pytest.raises(ConfigInvalid):
        masters_of(Settings(master_key_file=tmp_path / "none"))


def test_the_command_rotates_and_retires_with_only_the_owner_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("ATTUNE_MASTER_KEY", "ATTUNE_DATABASE", "ATTUNE_KEYS", "ATTUNE_MASTER_KEY_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert main(["keys", "create", "--app", "shop"]) == 0
    before = read_master_keys(tmp_path / "attune.key")
    assert main(["keys", "rotate-master"]) == 0
    during = read_master_keys(tmp_path / "attune.key")
    assert during[1:] == before
    assert main(["keys", "rotate-master", "--retire"]) == 0
    (after,) = read_master_keys(tmp_path / "attune.key")
    assert after not in during
    assert (tmp_path / "attune.key").stat().st_mode & 0o777 == 0o600
    said = capsys.readouterr()
    assert "1 keys are wrapped" in said.out
    assert after.hex() not in said.out + said.err
