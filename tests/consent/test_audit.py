"""The audit: a chain that is whole is proved, and whatever was done to it is found."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import main
from assistant.consent.receipt import Actor, Record
from assistant.consent.records import GENESIS, Audit, canonical, link
from assistant.store.consents import ConsentRecords
from assistant.store.database import Database, StorageFailed
from assistant.store.migrate import migrate
from tests.conftest import Databases

NOW = 1_800_000_000.0


def a_record(number: int = 1, **change: Any) -> Record:
    values: dict[str, Any] = {
        "id": f"r{number}", "person": f"p{number % 3}", "at": NOW + number, "event": "granted", "modality": "voice",
        "purpose": "tone", "notice": "1", "expires_at": NOW + 1e6, "actor": Actor("app", "api"), "app": "a",
    }  # fmt: skip
    return Record(**(values | change))


def chained(count: int) -> list[Record]:
    kept, previous = [], GENESIS
    for number in range(1, count + 1):
        record = a_record(number)
        previous = link(previous, record)
        kept.append(replace(record, seq=number, hash=previous))
    return kept


def walked(records: Sequence[Record], expected: str | None = None) -> Audit:
    audit = Audit(expected)
    audit.check_records(records)
    return audit


# The chain


def test_an_untouched_chain_is_whole() -> None:
    records = chained(20)
    audit = walked(records)
    assert (audit.broken, audit.records, audit.head) == (None, 20, records[-1].hash)


CHANGES: dict[str, Any] = {
    "id": "other", "app": "other", "person": "other", "at": NOW, "event": "refused", "modality": "text",
    "purpose": "content", "notice": "2", "expires_at": None, "actor": Actor("person", "api"), "reason": "minor",
}  # fmt: skip


def test_every_member_of_a_record_is_tried_below() -> None:
    assert set(CHANGES) == {field.name for field in fields(Record)} - {"seq", "hash"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_any_member_is_found_where_it_is(name: str) -> None:
    records = chained(20)
    records[7] = replace(records[7], **{name: CHANGES[name]})
    assert walked(records).broken is records[7]


def test_a_change_of_the_evidence_is_found() -> None:
    records = chained(3)
    records[1] = replace(records[1], actor=Actor("app", "stream"))
    assert walked(records).broken is records[1]


def test_a_record_that_was_removed_put_in_or_moved_is_found() -> None:
    records = chained(20)
    assert walked(records[:7] + records[8:]).broken is records[8]
    assert walked(records[1:]).broken is records[1]
    stranger = replace(a_record(99), hash=link(records[6].hash, a_record(99)))
    assert walked([*records[:7], stranger, *records[7:]]).broken is records[7]
    assert walked([records[1], records[0], *records[2:]]).broken is records[1]


def test_only_a_head_noted_earlier_shows_that_the_end_was_cut_off() -> None:
    records = chained(20)
    noted = records[-1].hash
    assert walked(records[:15]).broken is None
    assert not walked(records[:15], noted).seen
    assert walked(records, noted).seen
    assert walked(records, records[3].hash).seen
    assert walked([], GENESIS).seen


def test_a_record_is_written_down_in_one_way_only() -> None:
    assert canonical(a_record(at=5)) == canonical(a_record(at=5.0))
    text = canonical(a_record(person="ü"))
    assert text == text.strip()
    assert text.isascii()
    assert b" " not in text


# The command


def sqlite_file(folder: Path, count: int) -> Path:
    file = folder / "attune.db"
    migrate(f"sqlite:///{file}")

    async def write() -> None:
        database = Database(f"sqlite:///{file}")
        records = ConsentRecords(database)
        await asyncio.gather(*(records.append(a_record(number)) for number in range(1, count + 1)))
        await database.close()

    asyncio.run(write())
    return file


Verify = Callable[..., tuple[int, list[str], str]]


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Verify:
    def run(file: Path, *more: str) -> tuple[int, list[str], str]:
        monkeypatch.setenv("ATTUNE_DATABASE", f"sqlite:///{file}")
        status = main(["audit", "verify", *more])
        told = capsys.readouterr()
        return status, told.out.splitlines(), told.err

    return run


def tamper(file: Path, statement: str) -> None:
    """As somebody would who owns the file: the triggers are no obstacle to them."""
    with closing(sqlite3.connect(file)) as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(statement)
        connection.commit()


def test_the_audit_tells_how_many_records_there_are_and_the_head(tmp_path: Path, verify: Verify) -> None:
    file = sqlite_file(tmp_path, 30)
    status, lines, _ = verify(file)
    assert status == 0
    assert lines[0].startswith("30 consent records, unbroken")
    assert len(bytes.fromhex(lines[-1])) == 32
    assert verify(file, "--expect", lines[-1])[0] == 0


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consents SET purpose = 'content' WHERE seq = 12",
        "UPDATE consents SET at = at + 1 WHERE seq = 12",
        "UPDATE consents SET hash = 'ff' WHERE seq = 12",
        "DELETE FROM consents WHERE seq = 11",
    ],
)
def test_the_audit_finds_the_first_record_that_is_wrong(tmp_path: Path, verify: Verify, statement: str) -> None:
    file = sqlite_file(tmp_path, 30)
    tamper(file, statement)
    status, lines, _ = verify(file)
    assert status == 1
    assert lines[0].startswith("BROKEN at record 12,")


def test_the_audit_finds_a_cut_end_by_the_head_that_was_noted(tmp_path: Path, verify: Verify) -> None:
    file = sqlite_file(tmp_path, 30)
    head = verify(file)[1][-1]
    tamper(file, "DELETE FROM consents WHERE seq > 25")
    assert verify(file)[0] == 0
    status, _, error = verify(file, "--expect", head)
    assert status == 1
    assert "cut off" in error


def test_the_audit_of_an_empty_ledger_and_of_none(tmp_path: Path, verify: Verify) -> None:
    status, lines, _ = verify(sqlite_file(tmp_path, 0))
    assert (status, lines[-1]) == (0, GENESIS)
    missing = tmp_path / "none.db"
    status, _, error = verify(missing)
    assert status == 1
    assert "[database_missing]" in error
    assert not missing.exists()


# The table


@pytest.mark.parametrize("statement", ["UPDATE consents SET reason = 'x'", "DELETE FROM consents"])
def test_the_database_itself_refuses_to_change_or_remove_a_record(tmp_path: Path, statement: str) -> None:
    file = sqlite_file(tmp_path, 2)
    with closing(sqlite3.connect(file)) as connection, pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute(statement)


async def test_records_of_two_connections_form_one_chain(databases: Databases) -> None:
    connected = [Database(databases.main), Database(databases.main)]
    ledgers = [ConsentRecords(database) for database in connected]
    numbers = range(1, 61)
    await asyncio.gather(*(ledgers[n % 2].append(a_record(n)) for n in numbers))
    records = await ledgers[0].after(0)
    audit = walked(records)
    assert (audit.broken, audit.records) == (None, 60)
    assert [record.seq for record in records] == list(numbers)
    for database in connected:
        await database.close()


async def test_records_come_back_as_they_were_with_their_place_and_hash(databases: Databases) -> None:
    database = Database(databases.main)
    records = ConsentRecords(database)
    note = a_record(2, event="notice_shown", purpose=None, expires_at=None, person="p1", at=NOW + 0.1 + 0.2)
    kept = [await records.append(a_record(1)), await records.append(note)]
    assert await records.history("p1") == [a_record(1), note]
    assert [(one.seq, one.hash) for one in await records.history("p1")] == [(one.seq, one.hash) for one in kept]
    assert walked(await records.after(0)).broken is None
    assert (await records.last_seq(), await records.count()) == (2, 2)
    await database.close()


async def test_only_grants_that_ran_out_and_still_stood_are_due_to_be_called_expired(databases: Databases) -> None:
    database = Database(databases.main)
    records = ConsentRecords(database)

    async def add(number: int, event: str = "granted", person: str = "p", **change: Any) -> None:
        until = NOW + 10 if event == "granted" else None
        await records.append(a_record(number, **({"event": event, "person": person, "expires_at": until} | change)))

    await add(1, person="stands")
    await add(2, person="withdrew")
    await add(3, "withdrawn", "withdrew")
    await add(4, person="renewed")
    await add(5, person="renewed", expires_at=NOW + 99)
    await add(6, person="erased")
    await add(7, "erased", "erased", modality=None, purpose=None)
    await add(8, person="refused later")
    await add(9, "refused", "refused later")
    await add(10, person="called expired")
    await add(11, "expired", "called expired", reason="r10")
    await add(12, person="withdrew another")
    await add(13, "withdrawn", "withdrew another", purpose="content")
    due = await records.expired(NOW + 10, 100)
    assert [record.person for record in due] == ["stands", "refused later", "withdrew another"]
    assert await records.expired(NOW + 9, 100) == []
    assert len(await records.expired(NOW + 10, 2)) == 2
    await database.close()


async def test_what_ran_out_is_written_once_by_however_many_processes(databases: Databases) -> None:
    connected = [Database(databases.main) for _ in range(3)]
    ledgers = [ConsentRecords(database) for database in connected]
    await ledgers[0].append(a_record(1))
    expired = [a_record(2, event="expired", expires_at=None, reason="r1", at=NOW + n) for n in range(3)]
    await asyncio.gather(*(ledger.append(one) for ledger, one in zip(ledgers, expired, strict=True)))
    events = [record.event for record in await ledgers[0].after(0)]
    assert events == ["granted", "expired"]
    for database in connected:
        await database.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "statement", ["UPDATE consents SET reason = 'x'", "DELETE FROM consents", "TRUNCATE consents"]
)
async def test_postgresql_itself_refuses_too(postgres_databases: Databases, statement: str) -> None:
    database = Database(postgres_databases.main)
    await ConsentRecords(database).append(a_record(1))
    with pytest.raises(StorageFailed):
        async with database.write() as connection:
            await connection.exec_driver_sql(statement)
    assert await ConsentRecords(database).count() == 1
    await database.close()


async def test_a_record_that_can_not_be_written_spoils_none_beside_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/attune.db"
    await asyncio.to_thread(migrate, url)
    database = Database(url)
    records = ConsentRecords(database)
    await records.append(a_record(1))
    done = await asyncio.gather(*(records.append(a_record(n)) for n in (2, 1, 3)), return_exceptions=True)
    assert [type(one) for one in done] == [Record, StorageFailed, Record]
    assert [record.id for record in await records.after(0)] == ["r1", "r2", "r3"]
    assert walked(await records.after(0)).broken is None
    await database.close()


async def test_whoever_stops_waiting_leaves_the_record_to_be_written(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/attune.db"
    await asyncio.to_thread(migrate, url)
    database = Database(url)
    records = ConsentRecords(database)
    waiting = asyncio.create_task(records.append(a_record(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await records.close()
    assert [record.id for record in await records.after(0)] == ["r1"]
    await database.close()
