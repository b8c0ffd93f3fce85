"""Inserts of whole rows, into SQLite in one step of one thread: a commit then takes a tenth of the time."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from sqlalchemy import Table, make_url
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

PRAGMAS = ("busy_timeout=5000", "journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON")
"""Of every connection that writes."""


_AT_ONCE = 64
"""Rows in one statement: SQLite takes some hundreds of values."""


class RowInsert:
    """An insert of rows into a table, built once. A row whose columns `once` are stored already is left out."""

    def __init__(self, table: Table, *, once: Sequence[str] = ()) -> None:
        self._table, self._once = table, once
        self._columns = [column.name for column in table.columns if column.autoincrement is not True]
        self._insert = f"INSERT INTO {table.name} ({', '.join(self._columns)}) VALUES "  # noqa: S608
        self._find = f"SELECT {', '.join(once)} FROM {table.name} WHERE ({', '.join(once)}) IN (VALUES "  # noqa: S608

    def run_here(self, connection: sqlite3.Connection, rows: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Insert the rows in a transaction of SQLite; for each whether it is new.

        All rows stand in one statement: between two of them another thread would take the interpreter.
        """
        new = [True] * len(rows)
        if self._once:
            keys = [tuple(row[name] for name in self._once) for row in rows]
            values = [value for key in keys for value in key]
            seen = set(connection.execute(self._find + _places(len(self._once), len(rows)) + ")", values))
            for at, key in enumerate(keys):
                new[at] = key not in seen
                seen.add(key)
        fresh = [row for row, is_new in zip(rows, new, strict=True) if is_new]
        if fresh:
            values = [row[name] for row in fresh for name in self._columns]
            connection.execute(self._insert + _places(len(self._columns), len(fresh)), values)
        return new

    async def run(self, connection: AsyncConnection, rows: Sequence[Mapping[str, Any]]) -> list[bool]:
        """Insert the rows in a transaction of PostgreSQL; for each whether it is new."""
        if not self._once:
            await connection.execute(postgresql.insert(self._table), rows)
            return [True] * len(rows)
        key = [self._table.c[name] for name in self._once]
        insert = postgresql.insert(self._table).on_conflict_do_nothing(index_elements=self._once).returning(*key)
        fresh = {tuple(row) for row in await connection.execute(insert, rows)}
        new = []
        for row in rows:
            which = tuple(row[name] for name in self._once)
            new.append(which in fresh)
            fresh.discard(which)
        return new


def _places(columns: int, rows: int) -> str:
    """The places of the values of some rows.

    >>> _places(2, 3)
    '(?,?),(?,?),(?,?)'
    """
    return ",".join([f"({','.join('?' * columns)})"] * rows)


class RowWriter:
    """A connection to a SQLite file, and the thread that writes with it."""

    def __init__(self, url: str) -> None:
        self._file = make_url(url).database or ""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._opened: sqlite3.Connection | None = None

    def insert(self, insert: RowInsert, rows: Sequence[Mapping[str, Any]]) -> Future[list[bool]]:
        """Begin to insert rows in one transaction; what comes says for each whether it is new."""
        return self._thread.submit(self._insert, insert, rows)

    def close(self) -> None:
        """Wait for what was begun, and close the connection."""
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    def _insert(self, insert: RowInsert, rows: Sequence[Mapping[str, Any]]) -> list[bool]:
        connection = self._connection()
        try:
            connection.execute("BEGIN IMMEDIATE")
            new = [
                is_new
                for start in range(0, len(rows), _AT_ONCE)
                for is_new in insert.run_here(connection, rows[start : start + _AT_ONCE])
            ]
            connection.execute("COMMIT")
        except sqlite3.Error:
            with suppress(sqlite3.Error):  # some errors have ended it already
                connection.execute("ROLLBACK")
            raise
        return new

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            opened = sqlite3.connect(self._file, isolation_level=None)
            for pragma in PRAGMAS:
                opened.execute(f"PRAGMA {pragma}")
            self._opened = opened
        return self._opened

    def _close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
