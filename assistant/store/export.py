"""Export of everything stored about one person: a stream of records, decrypted in chunks in another thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Column, Table, func, select, tuple_

from assistant.consent.ledger import Ledger
from assistant.profile.export import FORMAT, consent_line
from assistant.profile.person import App, Person
from assistant.store import schema
from assistant.store.access_log import AccessLog
from assistant.store.database import Database
from assistant.store.keys.vault import Opener, Vault

_CHUNK = 5000

Row = Any
Shape = Callable[[Row, Opener], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of records in an export, out of one table."""

    kind: str
    table: Table
    order: tuple[Column[Any], ...]
    """Unique for a person; their records come in this order."""
    shape: Shape
    """Makes a record of a row and the function that decrypts it."""


def _sealed(kind: Callable[[Row], str], names: Mapping[str, str]) -> Shape:
    """Columns under their names in the export, and the decrypted JSON unchanged."""

    def shape(row: Row, opened: Opener) -> dict[str, Any]:
        plain = {shown: getattr(row, name) for name, shown in names.items()}
        return plain | {"data": msgspec.Raw(opened(kind(row), row.body))}

    return shape


def _access(row: Row, _: Opener) -> dict[str, Any]:
    return {name: row._mapping[name] for name in ("who", "action", "purpose", "at", "last_at", "count")}


_d, _c, _r, _m = schema.devices, schema.contexts, schema.remembered, schema.moods

SOURCES: tuple[Source, ...] = (
    Source("device", _d, (_d.c.id,), _sealed(lambda row: "device", {"at": "at"})),
    Source(
        "context",
        _c,
        (_c.c.name,),
        _sealed(lambda row: f"context {row.name}", {"name": "name", "at": "at", "expires_at": "expires_at"}),
    ),
    Source(
        "baseline",
        _r,
        (_r.c.modality,),
        _sealed(lambda row: f"baseline {row.modality}", {"modality": "modality", "at": "at"}),
    ),
    Source("mood", _m, (_m.c.seq,), _sealed(lambda row: "mood", {"modality": "modality", "at": "at"})),
    Source(
        "decision",
        schema.decisions,
        (schema.decisions.c.at, schema.decisions.c.id),
        _sealed(lambda row: "decision", {"id": "id", "at": "at"}),
    ),
    Source(
        "reward",
        schema.rewards,
        (schema.rewards.c.number,),
        _sealed(lambda row: "reward", {"decision": "decision", "at": "at"}),
    ),
    Source("access", schema.accesses, (schema.accesses.c.seq,), _access),
)
"""What an export holds besides the profile and the consent records: every other table about people."""


class Exports:
    """Exports, one person at a time. At most a chunk of records is in memory."""

    def __init__(
        self, database: Database, vault: Vault, ledger: Ledger, access: AccessLog, clock: Callable[[], float]
    ) -> None:
        self._database = database
        self._vault = vault
        self._ledger = ledger
        self._access = access
        self._clock = clock

    async def stream_export(
        self, app: App, person: Person, momentary: Sequence[dict[str, Any]] = ()
    ) -> AsyncIterator[bytes]:
        """The export as lines of JSON, some at a time.

        The first line says how many records of each kind follow, to show progress; the last line says that the
        export is whole. `momentary` is what only memory holds. Raises `NotFound` where the person was erased.
        """
        opened = await self._vault.opener(person.pseudonym)
        await self._access.flush()
        history = await self._ledger.history(person.pseudonym)
        counts = {"person": 1, "consent": len(history), "moment": len(momentary)}
        counts |= {source.kind: await self._count(source, person) for source in SOURCES}
        total = sum(counts.values())
        head = {"format": FORMAT, "at": self._clock(), "app": app.name, "counts": counts, "total": total}
        first = [_record("export", head), _record("person", await self._profile(person))]
        yield _lines(first)
        yield _lines(_record("consent", consent_line(record, controller=app.name)) for record in history)
        yield _lines(_record("moment", fact) for fact in momentary)
        given = 1 + len(history) + len(momentary)
        for source in SOURCES:
            async for rows in self._pages(source, person):
                given += len(rows)
                yield await asyncio.to_thread(_encode_rows, source, rows, opened)
        yield _lines([_record("end", {"records": given})])

    async def _profile(self, person: Person) -> dict[str, Any]:
        table = schema.people
        async with self._database.read() as connection:
            query = select(table.c.created_at).where(table.c.pseudonym == person.pseudonym)
            created_at = await connection.scalar(query)
        return {
            "person": person.id,
            "pseudonym": person.pseudonym,
            "created_at": created_at,
            "version": person.version,
            "profile": msgspec.to_builtins(person.profile),
        }

    async def _count(self, source: Source, person: Person) -> int:
        query = select(func.count()).select_from(source.table)
        async with self._database.read() as connection:
            return int(await connection.scalar(query.where(source.table.c.person == person.pseudonym)) or 0)

    async def _pages(self, source: Source, person: Person) -> AsyncIterator[Sequence[Row]]:
        """Rows page by page, in short reads: a long one would keep SQLite from emptying its write-ahead log."""
        query = select(source.table).where(source.table.c.person == person.pseudonym).order_by(*source.order)
        after: tuple[Any, ...] | None = None
        while True:
            page = query.limit(_CHUNK)
            if after is not None:
                page = page.where(tuple_(*source.order) > tuple_(*after))
            async with self._database.read() as connection:
                rows = (await connection.execute(page)).all()
            if rows:
                yield rows
            if len(rows) < _CHUNK:
                return
            after = tuple(getattr(rows[-1], column.name) for column in source.order)


def _record(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"record": kind, **data}


def _encode_rows(source: Source, rows: Sequence[Row], opened: Opener) -> bytes:
    return _lines(_record(source.kind, source.shape(row, opened)) for row in rows)


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    return msgspec.json.Encoder().encode_lines(records)
