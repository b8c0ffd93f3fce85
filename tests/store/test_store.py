"""What is kept: sealed with each person's key, found by a keyed hash, and gone for good when erased."""

from __future__ import annotations

import asyncio
import json
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, select

from assistant.consent.receipt import Actor, Record
from assistant.emotion import Baseline
from assistant.errors import AssistantError, ConfigInvalid, Invalid, NotFound, Unauthenticated, Unavailable
from assistant.profile.person import App, Profile, subject
from assistant.recommend.catalogue import Catalogue, starter
from assistant.store import schema
from assistant.store.apps import Apps, Catalogues
from assistant.store.consents import ConsentRecords
from assistant.store.database import Database, StorageFailed, finish_connecting
from assistant.store.decisions import Decisions
from assistant.store.keys import LocalKeys, Vault, make_master_key, open_vault, read_master_keys
from assistant.store.migrate import migrate
from assistant.store.people import People
from assistant.store.remembered import StoredBaselines
from tests.conftest import Databases
from tests.decisions import a_decision, an_item

NOW = 1_800_000_000.0
MASTER = bytes(range(32))
CANARY = "canary-7f3a91"


class Store:
    """Everything that is kept in a pair of databases."""

    def __init__(self, main: Database, keys: Database, vault: Vault) -> None:
        self.main, self.keys, self.vault = main, keys, vault
        self.apps = Apps(self.main, lambda: NOW)
        self.people = People(self.main, self.vault, lambda: NOW)
        self.records = ConsentRecords(self.main)
        self.catalogues = Catalogues(self.main, lambda: NOW)
        self.decisions = Decisions(self.main, self.vault)
        self.baselines = StoredBaselines(self.main, self.vault)

    async def app(self, name: str = "test") -> App:
        return (await self.apps.authenticate(await self.apps.create_key(name, "general"))).app


@asynccontextmanager
async def opening(databases: Databases, master_key: bytes = MASTER) -> AsyncIterator[Store]:
    main, keys = Database(databases.main), Database(databases.keys, shreds=True)
    try:
        store = Store(main, keys, await open_vault(keys, LocalKeys([master_key])))
        yield store
        await store.apps.close()
        await store.records.close()
    finally:
        await main.close()
        await keys.close()


@pytest.fixture
async def store(databases: Databases) -> AsyncIterator[Store]:
    async with opening(databases) as opened:
        yield opened


@pytest.fixture
async def sqlite_store(sqlite_databases: Databases) -> AsyncIterator[Store]:
    async with opening(sqlite_databases) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path: Path, sqlite_databases: Databases) -> Path:
    """Where the files of `sqlite_store` lie."""
    return tmp_path


def code(raised: pytest.ExceptionInfo[AssistantError]) -> str:
    return raised.value.code


def folder_files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())


def all_bytes(folder: Path, beginning: str) -> bytes:
    """The database with its write-ahead log, as they lie on the disk now."""
    files = sorted(folder.glob(f"{beginning}*"))
    assert any(file.name.endswith("-wal") for file in files)
    return b"".join(file.read_bytes() for file in files)


# The vault


async def test_what_was_sealed_opens_for_the_right_person_and_kind(store: Store) -> None:
    await store.vault.create("p")
    assert await store.vault.open("p", "profile", await store.vault.seal("p", "profile", b"data")) == b"data"


async def test_sealing_the_same_data_twice_gives_different_bytes(store: Store) -> None:
    await store.vault.create("p")
    sealed = [await store.vault.seal("p", "profile", b"data" * 8) for _ in range(10)]
    assert len(set(sealed)) == 10
    assert len({one[:12] for one in sealed}) == 10
    assert not any(b"data" in one for one in sealed)


async def test_another_kind_another_person_and_changed_bytes_do_not_open(store: Store) -> None:
    await store.vault.create("p")
    await store.vault.create("q")
    sealed = await store.vault.seal("p", "profile", b"data")
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for person, kind, data in (("p", "decision", sealed), ("q", "profile", sealed), ("p", "profile", changed)):
        with pytest.raises(Unavailable) as refused:
            await store.vault.open(person, kind, data)
        assert code(refused) == "data_corrupt"


async def test_bytes_that_were_cut_short_are_called_corrupt(store: Store) -> None:
    await store.vault.create("p")
    sealed = await store.vault.seal("p", "profile", b"data")
    for length in (0, 5, 12, 20):
        with pytest.raises(Unavailable) as refused:
            await store.vault.open("p", "profile", sealed[:length])
        assert code(refused) == "data_corrupt"


async def test_a_destroyed_key_opens_and_seals_nothing(store: Store) -> None:
    await store.vault.create("p")
    sealed = await store.vault.seal("p", "profile", b"data")
    await store.vault.destroy("p")
    with pytest.raises(NotFound):
        await store.vault.open("p", "profile", sealed)
    with pytest.raises(NotFound):
        await store.vault.seal("p", "profile", b"data")


async def test_a_person_made_again_gets_another_key(store: Store) -> None:
    await store.vault.create("p")
    sealed = await store.vault.seal("p", "profile", b"data")
    await store.vault.destroy("p")
    await store.vault.create("p")
    with pytest.raises(Unavailable):
        await store.vault.open("p", "profile", sealed)


async def test_a_destroyed_key_leaves_no_trace_in_the_files(sqlite_store: Store, folder: Path) -> None:
    store = sqlite_store
    await store.vault.create("p")
    async with store.keys.read() as connection:
        wrapped = await connection.scalar(
            select(schema.person_keys.c.wrapped).where(schema.person_keys.c.person == "p")
        )
    assert wrapped is not None
    assert wrapped in all_bytes(folder, "keys.db")
    await store.vault.destroy("p")
    assert wrapped not in b"".join(file.read_bytes() for file in folder_files(folder))


async def test_keys_are_kept_wrapped_by_the_master_key(store: Store) -> None:
    await store.vault.create("p")
    sealed = await store.vault.seal("p", "profile", b"data")
    with pytest.raises(Unavailable) as refused:
        await open_vault(store.keys, LocalKeys([bytes(32)]))
    assert code(refused) == "master_key_invalid"
    again = await open_vault(store.keys, LocalKeys([MASTER]))
    assert await again.open("p", "profile", sealed) == b"data"


def test_a_lookup_depends_on_the_app_the_person_and_the_root(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/unused.db")
    vault, other = [Vault(database, LocalKeys([MASTER]), root) for root in (MASTER, bytes(32))]
    found = [vault.lookup("app", "ada"), vault.lookup("app", "bob"), vault.lookup("b", "ada"),
             vault.lookup("appa", "da"), other.lookup("app", "ada")]  # fmt: skip
    assert len(set(found)) == 5
    assert vault.lookup("app", "ada") == found[0]


# The master key


def test_a_master_key_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "master.key"
    make_master_key(file)
    (key,) = read_master_keys(file)
    assert len(key) == 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    make_master_key(file)
    assert read_master_keys(file) == (key,)


def test_a_missing_master_key_says_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="keys create") as refused:
        read_master_keys(tmp_path / "none")
    assert code(refused) == "master_key_missing"


@pytest.mark.parametrize("content", [b"", b"zz" * 32, b"ab" * 31, b"ab" * 33, b"\xff\xfe"])
def test_a_master_key_that_is_none_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "master.key"
    file.write_bytes(content)
    with pytest.raises(ConfigInvalid) as refused:
        read_master_keys(file)
    assert code(refused) == "master_key_invalid"
    assert not content or content.decode(errors="replace") not in refused.value.message


def test_a_master_key_in_a_missing_folder_can_not_be_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid):
        make_master_key(tmp_path / "none" / "master.key")


# Apps


async def test_an_app_is_found_by_each_of_its_keys(store: Store) -> None:
    first, second = [await store.apps.create_key("shop", "workplace") for _ in range(2)]
    assert first != second
    app = (await store.apps.authenticate(first)).app
    assert app == (await store.apps.authenticate(second)).app
    assert (app.name, app.context) == ("shop", "workplace")


async def test_an_unknown_key_opens_nothing(store: Store) -> None:
    with pytest.raises(Unauthenticated) as refused:
        await store.apps.authenticate("att_guess")
    assert code(refused) == "key_unknown"


async def test_an_app_can_not_change_its_context_by_making_a_key(store: Store) -> None:
    await store.apps.create_key("shop", "workplace")
    with pytest.raises(Invalid) as refused:
        await store.apps.create_key("shop", "general")
    assert code(refused) == "app_exists"


@pytest.mark.parametrize(("name", "context"), [(" ", "general"), ("shop", "anything")])
async def test_an_app_needs_a_name_and_a_known_context(store: Store, name: str, context: Any) -> None:
    with pytest.raises(Invalid) as refused:
        await store.apps.create_key(name, context)
    assert code(refused) == "app_invalid"


async def test_a_key_is_not_written_down(sqlite_store: Store, folder: Path) -> None:
    key = await sqlite_store.apps.create_key("shop", "general")
    assert key.encode() not in all_bytes(folder, "attune.db")


# People

PROFILE = Profile(language="de", country="DE", interests=(CANARY, "music"), formality="formal")


async def test_a_person_comes_back_as_they_were_put(store: Store) -> None:
    app = await store.app()
    put, new = await store.people.put(app, "ada", PROFILE)
    assert new
    assert await store.people.get(app, "ada") == put
    assert (put.id, put.version, put.profile) == ("ada", 1, PROFILE)
    assert subject(app, put).person == put.pseudonym != "ada"


async def test_a_changed_profile_has_a_higher_version_and_the_same_pseudonym(store: Store) -> None:
    app = await store.app()
    first, _ = await store.people.put(app, "ada", PROFILE)
    second, new = await store.people.put(app, "ada", Profile(age_band="minor"))
    assert not new
    assert (second.pseudonym, second.version) == (first.pseudonym, 2)
    assert await store.people.get(app, "ada") == second


async def test_apps_do_not_share_people(store: Store) -> None:
    one, other = await store.app("one"), await store.app("other")
    mine, _ = await store.people.put(one, "ada", PROFILE)
    with pytest.raises(NotFound) as unknown:
        await store.people.get(other, "ada")
    assert code(unknown) == "person_unknown"
    theirs, new = await store.people.put(other, "ada", Profile())
    assert new
    assert theirs.pseudonym != mine.pseudonym


async def test_people_survive_a_restart(databases: Databases) -> None:
    async with opening(databases) as store:
        app = await store.app()
        put, _ = await store.people.put(app, "ada", PROFILE)
    async with opening(databases) as again:
        assert await again.people.get(app, "ada") == put


async def test_ids_and_profiles_do_not_stand_on_the_disk_in_clear(sqlite_store: Store, folder: Path) -> None:
    store = sqlite_store
    app = await store.app()
    person, _ = await store.people.put(app, f"{CANARY}@example.org", PROFILE)
    await store.decisions.add("d", person.pseudonym, NOW, a_decision(an_item(reason=CANARY)))
    await store.baselines.remember(person.pseudonym, "voice", Baseline(3, (0.123456789,), "session"), NOW)
    written = all_bytes(folder, "attune.db") + all_bytes(folder, "keys.db")
    assert person.pseudonym.encode() in written  # so this looks in the right place
    assert CANARY.encode() not in written
    assert b"0.123456789" not in written


async def test_an_erased_person_is_unknown_and_every_row_about_them_is_gone(store: Store) -> None:
    app = await store.app()
    ada, _ = await store.people.put(app, "ada", PROFILE)
    bob, _ = await store.people.put(app, "bob", PROFILE)
    for person in (ada, bob):
        await store.decisions.add(f"of {person.id}", person.pseudonym, NOW, a_decision())
        await store.baselines.remember(person.pseudonym, "text", Baseline(1, (0.1,)), NOW)
        await store.records.append(a_record(id=f"by {person.id}", person=person.pseudonym))
    await store.people.erase(ada)
    with pytest.raises(NotFound):
        await store.people.get(app, "ada")
    for table, column in (
        (schema.people, schema.people.c.pseudonym),
        (schema.decisions, schema.decisions.c.person),
        (schema.remembered, schema.remembered.c.person),
    ):
        async with store.main.read() as connection:
            assert list(await connection.scalars(select(column))) == [bob.pseudonym], table.name
    assert [record.id for record in await store.records.history(ada.pseudonym)] == ["by ada"], (
        "the ledger keeps its own"
    )
    assert await store.people.get(app, "bob") == bob


async def every_row(database: Database) -> dict[str, list[dict[str, Any]]]:
    """A backup of the main database: the rows of each table but `changes`, which only tell other processes."""
    async with database.read() as connection:
        return {
            table.name: sorted(map(dict, (await connection.execute(select(table))).mappings()), key=repr)
            for table in schema.main.sorted_tables
            if table is not schema.changes
        }


async def test_a_backup_made_before_an_erasure_can_not_be_read_after_it(store: Store) -> None:
    app = await store.app()
    ada, _ = await store.people.put(app, "ada", PROFILE)
    bob, _ = await store.people.put(app, "bob", PROFILE)
    await store.decisions.add("d", ada.pseudonym, NOW, a_decision(an_item(reason=CANARY)))
    await store.apps.close()  # the use of the app's key is noted beside this, and would differ from the backup
    backup = await every_row(store.main)
    await store.people.erase(ada)
    after = await every_row(store.main)
    async with store.main.write() as connection:
        for table in schema.main.sorted_tables:
            lost = [row for row in backup.get(table.name, ()) if row not in after[table.name]]
            if lost:
                await connection.execute(insert(table), lost)
    assert await every_row(store.main) == backup
    assert await store.people.get(app, "bob") == bob
    with pytest.raises(NotFound):
        await store.people.get(app, "ada")
    with pytest.raises(NotFound):
        await store.decisions.get("d", ada.pseudonym)


async def test_a_restored_file_can_not_be_read_either(sqlite_databases: Databases, folder: Path) -> None:
    async with opening(sqlite_databases) as store:
        app = await store.app()
        ada, _ = await store.people.put(app, "ada", PROFILE)
        bob, _ = await store.people.put(app, "bob", PROFILE)
    backup = (folder / "attune.db").read_bytes()
    async with opening(sqlite_databases) as store:
        await store.people.erase(ada)
    assert [file.name for file in folder_files(folder) if file.name.startswith("attune.db-")] == []
    (folder / "attune.db").write_bytes(backup)
    async with opening(sqlite_databases) as restored:  # with the same master key
        assert await restored.people.get(app, "bob") == bob
        with pytest.raises(NotFound):
            await restored.people.get(app, "ada")


async def test_a_person_erased_and_put_again_is_somebody_new(store: Store) -> None:
    app = await store.app()
    before, _ = await store.people.put(app, "ada", PROFILE)
    await store.people.erase(before)
    after, new = await store.people.put(app, "ada", Profile())
    assert new
    assert after.pseudonym != before.pseudonym
    assert await store.records.history(after.pseudonym) == []


# Consent records


def a_record(**change: Any) -> Record:
    values: dict[str, Any] = {
        "id": "r1", "person": "p", "at": NOW, "event": "granted", "modality": "voice", "purpose": "tone",
        "notice": "1", "expires_at": NOW + 1, "actor": Actor("person", "stream"), "reason": None,
    }  # fmt: skip
    return Record(**(values | change))


async def test_consent_records_come_back_as_they_were_in_their_order(store: Store) -> None:
    kept = [
        a_record(id="z"),
        a_record(id="y", event="withdrawn", expires_at=None, at=NOW - 5),
        a_record(id="x", event="refused", expires_at=None, reason="minor", actor=Actor("app", "api")),
    ]
    for record in kept:
        await store.records.append(record)
    await store.records.append(a_record(id="w", person="q"))
    assert await store.records.history("p") == kept
    assert await store.records.history("nobody") == []


async def test_a_consent_record_is_never_replaced(store: Store) -> None:
    await store.records.append(a_record())
    with pytest.raises(StorageFailed):
        await store.records.append(a_record(event="withdrawn"))
    assert await store.records.history("p") == [a_record()]


# Catalogues and decisions


async def test_a_catalogue_comes_back_as_it_was_put_and_can_be_replaced(databases: Databases) -> None:
    async with opening(databases) as store:
        app = await store.app()
        assert await store.catalogues.get(app.id) == Catalogue("", ())
        assert await store.catalogues.missing() == [app.name]
        await store.catalogues.put(app.id, starter())
        assert await store.catalogues.missing() == []
        assert await store.catalogues.get(app.id) == starter()
    async with opening(databases) as again:
        assert await again.catalogues.get(app.id) == starter()
        await again.catalogues.put(app.id, Catalogue("2", starter().items[:1]))
    async with opening(databases) as later:
        assert await later.catalogues.get(app.id) == Catalogue("2", starter().items[:1])


async def test_a_first_catalogue_that_another_process_loads_is_seen_at_once(databases: Databases) -> None:
    async with opening(databases) as server, opening(databases) as command:
        app = await server.app()
        assert await server.catalogues.get(app.id) == Catalogue("", ())
        await command.catalogues.put(app.id, starter())
        assert await server.catalogues.get(app.id) == starter()


async def test_a_decision_comes_back_for_its_own_person_only(store: Store) -> None:
    for person in ("p", "q"):
        await store.vault.create(person)
    body = a_decision(an_item(propensity=0.25), limits=("gpc",))
    await store.decisions.add("d", "p", NOW, body)
    assert await store.decisions.get("d", "p") == body
    for decision, person in (("d", "q"), ("e", "p")):
        with pytest.raises(NotFound) as unknown:
            await store.decisions.get(decision, person)
        assert code(unknown) == "decision_unknown"


async def test_a_baseline_is_remembered_replaced_and_forgotten_by_modality(store: Store) -> None:
    await store.vault.create("p")
    assert await store.baselines.recall("p", "voice") is None
    await store.baselines.remember("p", "voice", Baseline(3, (0.1, 0.2), "session"), NOW)
    await store.baselines.remember("p", "voice", Baseline(4, (0.3, 0.4), "session"), NOW + 1)
    await store.baselines.remember("p", "text", Baseline(1, (0.5,), "session"), NOW)
    assert await store.baselines.recall("p", "voice") == Baseline(4, (0.3, 0.4), "stored")
    await store.baselines.forget("p", "voice")
    assert await store.baselines.recall("p", "voice") is None
    assert await store.baselines.recall("p", "text") == Baseline(1, (0.5,), "stored")


async def remembered_of(store: Store, person: str) -> bytes:
    """The row as it lies in the database."""
    async with store.main.read() as connection:
        body = await connection.scalar(select(schema.remembered.c.body).where(schema.remembered.c.person == person))
    assert isinstance(body, bytes)
    return body


async def test_a_remembered_baseline_is_at_most_eight_numbers_a_count_and_where_they_come_from(
    store: Store,
) -> None:
    await store.vault.create("p")
    with pytest.raises(ValueError, match="at most 8"):
        Baseline(3, (0.5,) * 9, "session")
    await store.baselines.remember("p", "voice", Baseline(3, (0.5,) * 8, "session", "abc"), NOW)
    opened = await store.vault.open("p", "baseline voice", await remembered_of(store, "p"))
    assert json.loads(opened) == {"count": 3, "center": [0.5] * 8, "source": "session", "model": "abc"}


async def test_a_remembered_baseline_can_not_be_read_without_the_persons_own_key(store: Store) -> None:
    for person in ("p", "q"):
        await store.vault.create(person)
    await store.baselines.remember("p", "voice", Baseline(3, (0.123456789,), "session"), NOW)
    row = await remembered_of(store, "p")
    assert b"0.123456789" not in row
    for person, kind in (("q", "baseline voice"), ("p", "baseline text"), ("p", "profile")):
        with pytest.raises(Unavailable) as refused:
            await store.vault.open(person, kind, row)
        assert code(refused) == "data_corrupt"
    with pytest.raises(Unavailable) as refused:
        await Vault(store.keys, LocalKeys([bytes(32)]), MASTER).open("p", "baseline voice", row)
    assert code(refused) == "master_key_invalid"
    await store.vault.destroy("p")
    with pytest.raises(NotFound):
        await store.baselines.recall("p", "voice")


# The database


async def test_the_migrations_make_exactly_the_schema(store: Store) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found: list[Any] = compare_metadata(context, schema.main)
        return found

    async with store.main.read() as connection:
        assert await connection.run_sync(differences) == []


def test_migrating_twice_changes_nothing(folder: Path) -> None:
    before = (folder / "attune.db").read_bytes()
    migrate(f"sqlite:///{folder}/attune.db")
    assert (folder / "attune.db").read_bytes() == before


def test_a_path_with_a_percent_sign_can_be_migrated(tmp_path: Path) -> None:
    odd = tmp_path / "100%"
    odd.mkdir()
    migrate(f"sqlite:///{odd}/attune.db")
    assert (odd / "attune.db").stat().st_size


def test_keys_have_no_place_in_the_main_database() -> None:
    assert not set(schema.main.tables) & set(schema.secrets.tables)


async def test_a_database_that_can_not_be_opened_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for url in (f"sqlite:///{tmp_path}/none/a.db", f"sqlite:///{tmp_path}/file/a.db", f"sqlite:///{tmp_path}"):
        with pytest.raises(StorageFailed) as refused:
            migrate(url)
        assert code(refused) == "storage_failed"
        database = Database(url)
        with pytest.raises(StorageFailed):
            await database.create(schema.secrets)
        await database.close()
        for thread in threading.enumerate():  # aiosqlite doesn't wait for the thread of a failed connection
            if "_connection_worker_thread" in thread.name:
                await asyncio.to_thread(thread.join, 10)


async def test_a_connection_that_nobody_waits_for_any_more_is_closed() -> None:
    class Made:
        closed = False

        async def close(self) -> None:
            self.closed = True

    made, may_go = Made(), asyncio.Event()

    async def connect() -> Made:
        await may_go.wait()
        return made

    waiting = asyncio.create_task(finish_connecting(connect()))
    await asyncio.sleep(0)  # so that it has begun
    waiting.cancel()
    may_go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert made.closed


async def test_a_file_that_is_no_database_is_a_storage_failure(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_bytes(b"not a database at all" * 100)
    with pytest.raises(StorageFailed):
        migrate(f"sqlite:///{tmp_path}/a.db")


async def test_a_failed_transaction_leaves_nothing_behind(store: Store) -> None:
    async def halfway() -> None:
        async with store.main.write() as connection:
            values = {"id": "a", "name": "a", "context": "general", "created_at": NOW}
            await connection.execute(schema.apps.insert().values(**values))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await halfway()
    async with store.main.read() as connection:
        assert (await connection.execute(select(schema.apps))).all() == []
