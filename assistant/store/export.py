"""Export of everything stored about one person: a stream of records, decrypted in chunks in another thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Table, func, select, tuple_

from assistant.consent.ledger import Ledger
from assistant.profile.export import FORMAT, consent_line
from assistant.profile.person import App, Person
from assistant.store import schema
from assistant.store.access_log import COLUMNS, AccessLog
from assistant.store.database import Database
from assistant.store.keys import Opener, Vault

_CHUNK = 5000

Row = Any
Shape = Callable[[Row, Opener], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of records in an export, out of one table."""

    kind: str
    table: Table
    order: tuple[str, ...]
    """Columns, unique for a person; their records come in this order."""
    shape: Shape
    """Makes a record of a row and the function that decrypts it."""


def _sealed(kind: str, *columns: str) -> Shape:
    """Columns, and the decrypted JSON unchanged; `kind` names columns in braces."""

    def shape(row: Row, opened: Opener) -> dict[str, Any]:
        plain = {name: row._mapping[name] for name in columns}
        return plain | {"data": msgspec.Raw(opened(kind.format_map(row._mapping), row.body))}

    return shape


def _access(row: Row, _: Opener) -> dict[str, Any]:
    return {name: row._mapping[name] for name in COLUMNS}


SOURCES: tuple[Source, ...] = (
    Source("device", schema.devices, ("id",), _sealed("device", "at")),
    Source("context", schema.contexts, ("name",), _sealed("context {name}", "name", "at", "expires_at")),
    Source("baseline", schema.remembered, ("modality",), _sealed("baseline {modality}", "modality", "at")),
    Source("mood", schema.moods, ("seq",), _sealed("mood", "modality", "at")),
    Source("decision", schema.decisions, ("at", "id"), _sealed("decision", "id", "at")),
    Source("reward", schema.rewards, ("number",), _sealed("reward", "decision", "at")),
    Source("access", schema.accesses, ("seq",), _access),
)
"""What an export holds besides the profile and the consent records: every other table about people."""


class Exports:
    """Exports, one person at a time. At most a chunk of records is in memory."""

    def __init__(
        self, database: Database, vault: Vault, ledger: Ledger, access: AccessLog, clock: Callable[[], float]
    ) -> None:
        self._database, self._vault, self._ledger, self._access = database, vault, ledger, access
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
        yield _lines([_record("export", head), _record("person", await self._profile(person))])
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
        query = select(table.c.created_at).where(table.c.pseudonym == person.pseudonym)
        return {
            "person": person.id,
            "pseudonym": person.pseudonym,
            "created_at": await self._database.scalar(query),
            "version": person.version,
            "profile": msgspec.to_builtins(person.profile),
        }

    async def _count(self, source: Source, person: Person) -> int:
        query = select(func.count()).select_from(source.table)
        return int(await self._database.scalar(query.where(source.table.c.person == person.pseudonym)) or 0)

    async def _pages(self, source: Source, person: Person) -> AsyncIterator[Sequence[Row]]:
        """Rows page by page, in short reads: a long one would keep SQLite from emptying its write-ahead log."""
        order = [source.table.c[name] for name in source.order]
        query = select(source.table).where(source.table.c.person == person.pseudonym).order_by(*order)
        after: tuple[Any, ...] | None = None
        while True:
            page = query.limit(_CHUNK)
            if after is not None:
                page = page.where(tuple_(*order) > tuple_(*after))
            rows = await self._database.rows(page)
            if rows:
                yield rows
            if len(rows) < _CHUNK:
                return
            after = tuple(getattr(rows[-1], name) for name in source.order)


def _record(kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {"record": kind, **data}


def _encode_rows(source: Source, rows: Sequence[Row], opened: Opener) -> bytes:
    return _lines(_record(source.kind, source.shape(row, opened)) for row in rows)


def _lines(records: Iterable[dict[str, Any]]) -> bytes:
    return msgspec.json.Encoder().encode_lines(records)
