"""A SQLite file or a PostgreSQL server, opened for many readers and durable writers, and its migration."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol, TypeVar

from sqlalchemy import Connection, MetaData, Table, event, inspect, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolEmpty
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from assistant.errors import ConfigInvalid, Unavailable
from assistant.store.kept import KeptInMemory
from assistant.store.point_reads import Looking, PointRead, PointReader
from assistant.store.postgres import UNNAMED, CannotConnect, address_of, connect_postgres, is_pooled
from assistant.store.row_inserts import PRAGMAS, RowInsert, RowWriter

log = logging.getLogger(__name__)

Kind = Literal["sqlite", "postgresql"]

_POOL = {"pool_size": 10, "max_overflow": 10, "pool_timeout": 10, "pool_recycle": 1800}
MIGRATING = 0x6174_7475_6E65
"""The advisory lock that one migration at a time holds."""


_IN_ONE_QUERY = 500
"""Values in one query."""


class StorageFailed(Unavailable):
    """The database can't be read or written: a full disk, a missing folder, no permission, no server."""

    code = "storage_failed"


def kind_of(url: str) -> Kind:
    """Which kind of database a URL names. Raises `ConfigInvalid`.

    >>> kind_of("sqlite:///attune.db"), kind_of("postgresql://attune@db/attune"), kind_of("postgres://db/attune")
    ('sqlite', 'postgresql', 'postgresql')
    """
    match url.partition(":")[0]:
        case "sqlite":
            return "sqlite"
        case "postgresql" | "postgres":
            return "postgresql"
    raise ConfigInvalid("a database URL must be like sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME")


_TRY_AGAIN_S = 5.0


class Database:
    """One database, for transactions that read or write.

    With `shreds` deleted data is overwritten with zeros; without, free pages keep it until they are used again.
    """

    def __init__(self, url: str, *, shreds: bool = False) -> None:
        self.url = url
        self.kind = kind_of(url)
        self._shreds = shreds
        self._points: PointReader | None = None
        self._inserts: RowWriter | None = None
        if self.kind == "sqlite":
            self._points, self._inserts = PointReader(url), RowWriter(url)
        self.kept = KeptInMemory() if self._points is None else Looking(self._points).kept
        """What was read and may be used again."""
        if self.kind == "postgresql":
            for name in address_of(url).without_effect:
                log.warning("the database's URL: %s has no effect here", name)
        self._engines: _Engines | None = _sqlite_engines(url, shreds) if self.kind == "sqlite" else None
        self._writing, self._opening = asyncio.Lock(), asyncio.Lock()
        self.write_failed_at: float | None = None
        """When the last change failed, by the event loop's clock (the disk is full, say); None: it did not."""

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that may change something, and is durable when it ends. Raises `StorageFailed`.

        SQLite has one writer at a time among all processes; waiting here is fair and blocks no reader. PostgreSQL
        has many: what must not happen twice needs a unique column, or `take_turns`.
        """
        try:
            async with AsyncExitStack() as stack:
                if self.kind == "sqlite":
                    await stack.enter_async_context(self._writing)
                connection = await stack.enter_async_context(self._connect("write"))
                await stack.enter_async_context(connection.begin())
                yield connection
        except StorageFailed:
            self.write_failed_at = asyncio.get_running_loop().time()
            raise
        self.write_failed_at = None

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """A connection to read from; each query sees the newest data. Raises `StorageFailed`.

        There is no transaction: its begin and end would take longer than most queries.
        """
        async with self._connect("read") as connection:
            yield connection

    @asynccontextmanager
    async def _connect(self, intent: Literal["read", "write"]) -> AsyncIterator[AsyncConnection]:
        async with AsyncExitStack() as stack:
            try:
                engine = getattr(await self._open(), intent)
                connection = await finish_connecting(engine.connect().start())
                stack.push_async_exit(connection)
            except (DBAPIError, PoolEmpty, OSError) as error:  # asyncpg passes on errors of the socket
                raise StorageFailed(f"the database can't be reached now: {name_error(error)}") from error
            try:
                yield connection
            except DBAPIError as error:
                raise StorageFailed(f"the database can't be used now: {name_error(error)}") from error

    async def _open(self) -> _Engines:
        """The engines. Those for PostgreSQL are made at the first use: a look tells if there is a pooler."""
        async with self._opening:
            if self._engines is None:
                self._engines = await _postgres_engines(self.url)
            return self._engines

    async def rows(self, query: Any, values: dict[str, Any] | None = None) -> Sequence[Any]:
        """The rows of one query. Raises `StorageFailed`, as do the next three."""
        async with self.read() as connection:
            return (await connection.execute(query, values)).all()

    async def row(self, query: Any, values: dict[str, Any] | None = None) -> Any:
        """The first row of one query; None where there is none."""
        async with self.read() as connection:
            return (await connection.execute(query, values)).first()

    async def scalar(self, query: Any) -> Any:
        """The first column of the first row of one query; None where there is none."""
        async with self.read() as connection:
            return await connection.scalar(query)

    async def find(self, read: PointRead, **values: Any) -> Sequence[Any]:
        """The rows of a read that is quick. Raises `StorageFailed`."""
        if self._points is None:
            return await self.rows(read.query, values)
        try:
            return self._points.rows(read, values)
        except sqlite3.Error as error:
            raise StorageFailed(f"the database can't be read now: {name_error(error)}") from error

    async def insert(
        self, insert: RowInsert, rows: Sequence[dict[str, Any]], *, turn: int | None = None
    ) -> Sequence[bool]:
        """Insert rows in one transaction, durable when this returns; for each whether it is new.

        `turn`: a lock that on PostgreSQL is held meanwhile, see `take_turns`. Raises `StorageFailed`.
        """
        if self._inserts is None:
            async with self.write() as connection:
                if turn is not None:
                    await self.take_turns(connection, turn)
                return await insert.run(connection, rows)
        try:
            async with self._writing:
                new = await asyncio.wrap_future(self._inserts.insert(insert, rows))
        except sqlite3.Error as error:
            self.write_failed_at = asyncio.get_running_loop().time()
            raise StorageFailed(f"the database can't be used now: {name_error(error)}") from error
        self.write_failed_at = None
        return new

    async def execute(self, statement: Any, rows: Sequence[dict[str, Any]] | None = None) -> int:
        """Run one statement in a transaction of its own; returns how many rows it changed."""
        async with self.write() as connection:
            return (await connection.execute(statement, rows)).rowcount

    async def can_write(self) -> bool:
        """Whether changes can be stored. Some seconds after one that failed this tries a small one."""
        failed_at = self.write_failed_at
        if failed_at is not None and asyncio.get_running_loop().time() - failed_at > _TRY_AGAIN_S:
            with suppress(StorageFailed):
                await self.execute(text("UPDATE alembic_version SET version_num = version_num"))
        return self.write_failed_at is None

    async def rows_with(self, query: Any, column: Any, values: Collection[str]) -> list[Any]:
        """The rows of a query in which `column` is one of `values`, read in parts."""
        named = tuple(values)
        parts = [named[start : start + _IN_ONE_QUERY] for start in range(0, len(named), _IN_ONE_QUERY)]
        return [row for part in parts for row in await self.rows(query.where(column.in_(part)))]

    def upsert(self, table: Table, key: list[str], **values: Any) -> Any:
        """A statement that inserts a row, or changes the one that has the same `key` columns."""
        insert: Any = (sqlite if self.kind == "sqlite" else postgresql).insert
        change = {name: value for name, value in values.items() if name not in key}
        return insert(table).values(**values).on_conflict_do_update(index_elements=key, set_=change)

    async def take_turns(self, connection: AsyncConnection, lock: int) -> None:
        """Wait until no other transaction of any process holds `lock`, and hold it until this one ends.

        On SQLite `write` does that already.
        """
        if self.kind == "postgresql":
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": lock})

    async def create(self, tables: MetaData) -> None:
        """Create the tables and columns that don't exist yet; a new column must be nullable."""
        async with self.write() as connection:
            await self.take_turns(connection, MIGRATING)
            await connection.run_sync(_create_missing, tables)

    async def wipe_log(self) -> None:
        """Empty SQLite's write-ahead log, so that deleted data is nowhere on the disk any more.

        PostgreSQL can't do that: its log and free pages keep deleted rows until it reuses them.
        """
        if self.kind == "postgresql":
            return
        try:
            async with self._writing, (await self._open()).read.connect() as connection:
                await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        except DBAPIError as error:
            raise StorageFailed(f"the database can't be used now: {name_error(error)}") from error

    async def close(self) -> None:
        """Close all connections."""
        if self._points is not None:
            self._points.close()
        if self._inserts is not None:
            await asyncio.to_thread(self._inserts.close)
        if self._engines is not None:
            await self._engines.write.dispose()
            await self._engines.read.dispose()


class Closable(Protocol):
    """A connection."""

    async def close(self) -> None:
        """Close it."""


Opened = TypeVar("Opened", bound=Closable)


async def finish_connecting(connecting: Awaitable[Opened]) -> Opened:
    """Wait for a new connection. Where the caller is cancelled meanwhile, wait on and close it.

    The drivers would lose one that is half made: nobody closes it, and its thread may outlive the event loop.
    """
    made = asyncio.ensure_future(connecting)
    try:
        return await asyncio.shield(made)
    except asyncio.CancelledError:
        (connection,) = await asyncio.gather(made, return_exceptions=True)
        if not isinstance(connection, BaseException):
            await connection.close()
        raise


@dataclass(frozen=True, slots=True)
class _Engines:
    """One to write with and one to read with."""

    write: AsyncEngine
    read: AsyncEngine


def _sqlite_engines(url: str, shreds: bool) -> _Engines:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as error:
        raise ConfigInvalid("the database's URL is not valid") from error
    if parsed.query:
        raise ConfigInvalid("the URL of a SQLite file has no parameters: it is like sqlite:///FILE")
    driven = parsed.set(drivername="sqlite+aiosqlite")
    writer = create_async_engine(driven)
    readers = create_async_engine(driven, skip_autocommit_rollback=True)
    deletes = "secure_delete=ON" if shreds else "secure_delete=FAST"
    event.listen(writer.sync_engine, "connect", _pragmas(deletes))
    event.listen(writer.sync_engine, "begin", begin_immediate)
    event.listen(readers.sync_engine, "connect", _pragmas("query_only=ON"))
    return _Engines(writer, readers)


async def _postgres_engines(url: str) -> _Engines:
    """Behind a pooler a statement is prepared where it runs, inside a transaction: the next may run elsewhere."""
    first = await finish_connecting(connect_postgres(url))
    try:
        pooled = await is_pooled(first)
    finally:
        await first.close()
    how = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": lambda: UNNAMED} if pooled else {}
    engine = create_async_engine(
        "postgresql+asyncpg://", connect_args={"async_creator_fn": partial(connect_postgres, url), **how}, **_POOL
    )
    event.listen(engine.sync_engine, "checkout", _check)
    return _Engines(engine, engine if pooled else engine.execution_options(isolation_level="AUTOCOMMIT"))


def _pragmas(also: str) -> Callable[[Any, Any], None]:
    def tune(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # `begin_immediate` begins transactions, not the driver
        cursor = connection.cursor()
        for pragma in (*PRAGMAS, also):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return tune


def begin_immediate(connection: Connection) -> None:
    """Begin a transaction: one that first reads and then writes would fail, where another process wrote between."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _check(connection: Any, _: Any, __: Any) -> None:
    """Drop a connection that the server has closed; the pool opens another. This costs no round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def _create_missing(connection: Connection, tables: MetaData) -> None:
    tables.create_all(connection)
    for table in tables.sorted_tables:
        existing = {column["name"] for column in inspect(connection).get_columns(table.name)}
        for column in table.columns:
            if column.name not in existing:
                kind = column.type.compile(connection.dialect)
                connection.execute(text(f'ALTER TABLE {table.name} ADD COLUMN "{column.name}" {kind}'))


def name_error(error: BaseException | None) -> str:
    """The class of the error; its message could quote a row."""
    if isinstance(error, DBAPIError):
        error = error.driver_exception
    elif isinstance(error, CannotConnect):
        error = error.__cause__ or error
    return type(error).__name__
