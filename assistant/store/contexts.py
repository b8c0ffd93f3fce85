"""The recent context of people. Each part is sealed, and stays until it expires."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import delete, select

from assistant.profile.context import ContextPart
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.keys.vault import Vault


class Contexts:
    """Recent context; `profile.context.ContextStore`. An expired part is not returned, and the purge removes it."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], float]) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    async def put(self, person: str, parts: Mapping[str, ContextPart], gone: Iterable[str] = ()) -> None:
        """Replace these parts, and drop those named in `gone`."""
        table = schema.contexts
        rows: list[dict[str, Any]] = []
        for name, noted in parts.items():
            body = await self._vault.seal(person, f"context {name}", msgspec.json.encode(noted.value))
            rows.append(
                {"person": person, "name": name, "at": noted.at, "expires_at": noted.expires_at, "body": body}
            )
        async with self._database.write() as connection:
            for row in rows:
                await connection.execute(self._database.upsert(table, ["person", "name"], **row))
            for name in gone:
                await connection.execute(delete(table).where(table.c.person == person, table.c.name == name))

    async def read_context(self, person: str) -> dict[str, ContextPart]:
        """The parts of a person's context that have not expired, by name."""
        table = schema.contexts
        query = select(table).where(table.c.person == person, table.c.expires_at > self._clock())
        async with self._database.read() as connection:
            rows = (await connection.execute(query.order_by(table.c.name))).all()
        return {
            row.name: ContextPart(
                msgspec.json.decode(await self._vault.open(person, f"context {row.name}", row.body)),
                row.at,
                row.expires_at,
            )
            for row in rows
        }

    async def clear(self, person: str) -> None:
        """Drop all of it."""
        async with self._database.write() as connection:
            await connection.execute(delete(schema.contexts).where(schema.contexts.c.person == person))
