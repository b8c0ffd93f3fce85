"""Reads of a few rows by an index, from SQLite at once and in the caller's thread.

Such a read takes some microseconds; to hand it to another thread takes a hundred.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, bindparam, func, make_url, select
from sqlalchemy.dialects import sqlite

from assistant.errors import Unavailable
from assistant.store import schema
from assistant.store.kept import KeptInMemory

_DIALECT = sqlite.dialect()
_WAIT_S = 1.0
"""Seconds to wait for a lock. Readers beside a write-ahead log hardly ever meet one."""
_VERSION = "PRAGMA data_version"
_PAGE = 1000


class PointRead:
    """A query that is built once. It finds few rows, by an index: other queries would hold up the event loop."""

    def __init__(self, query: Select[Any]) -> None:
        self.query = query
        compiled = query.compile(dialect=_DIALECT)
        self.sql = str(compiled)
        self.fixed = {name: value for name, value in compiled.params.items() if value is not None}
        self.names: Sequence[str] = tuple(compiled.positiontup or ())
        self.row: Any = _row_type(query)


def _row_type(query: Select[Any]) -> Any:
    return namedtuple("row", [str(column.key) for column in query.selected_columns])


_changes = schema.changes
LAST_CHANGE = PointRead(select(func.max(_changes.c.seq).label("seq")))
CHANGES_AFTER = PointRead(
    select(_changes.c.seq, _changes.c.about)
    .where(_changes.c.seq > bindparam("heard"))
    .order_by(_changes.c.seq)
    .limit(_PAGE)
)


class PointReader:
    """A connection of its own to a SQLite file, to read from."""

    def __init__(self, url: str) -> None:
        self._file = make_url(url).database or ""
        self._opened: sqlite3.Connection | None = None

    def rows(self, read: PointRead, values: Mapping[str, Any]) -> list[Any]:
        """The rows, whose columns are attributes. Raises `sqlite3.Error`."""
        given = {**read.fixed, **values}
        found = self._connection().execute(read.sql, [given[name] for name in read.names])
        return [read.row._make(row) for row in found]

    def version(self) -> int:
        """A number that changes with every change of the file by another connection. Raises `sqlite3.Error`."""
        return int(self._connection().execute(_VERSION).fetchone()[0])

    def close(self) -> None:
        """Close the connection; the next read opens another."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            # one event loop uses it, in whichever thread that runs
            opened = sqlite3.connect(self._file, timeout=_WAIT_S, isolation_level=None, check_same_thread=False)
            opened.execute("PRAGMA query_only=ON")
            self._opened = opened
        return self._opened


class Looking:
    """Looks whether a SQLite file has changed, and drops what has from what is kept in memory."""

    def __init__(self, reader: PointReader) -> None:
        self._reader = reader
        self.kept = KeptInMemory(self._look)
        self._seen: int | None = None
        self._heard = 0

    def _look(self) -> None:
        try:
            version = self._reader.version()
            if version == self._seen:
                return
            if self._seen is None:
                (last,) = self._reader.rows(LAST_CHANGE, {})
                self._heard = last.seq or 0
                self.kept.clear()
            while rows := self._reader.rows(CHANGES_AFTER, {"heard": self._heard}):
                self.kept.drop(*(row.about for row in rows))
                self._heard = rows[-1].seq
            self._seen = version
        except sqlite3.Error as error:
            self._seen = None
            raise Unavailable(f"the database can't be read now: {type(error).__name__}") from error
