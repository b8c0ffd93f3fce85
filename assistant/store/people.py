"""People and their profiles, sealed."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from assistant.errors import NotFound
from assistant.profile.person import App, Person, Profile
from assistant.store import schema
from assistant.store.database import Database, StorageFailed
from assistant.store.vault import Vault


class _Stored(msgspec.Struct):
    """What the profile column holds, sealed."""

    id: str
    profile: Profile


class People:
    """People of an app. Their ids and profiles are sealed; they are found by a keyed hash."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], float]) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

    async def get(self, app: App, person: str) -> Person:
        """Raises `NotFound` (`person_unknown`)."""
        row = await self._row(app, person)
        if row is None:
            raise NotFound("this app has no such person", code="person_unknown")
        return await self._open(row)

    async def known(self, app: App, pseudonym: str) -> Person:
        """The person behind a pseudonym. Raises `NotFound` (`person_unknown`)."""
        table = schema.people
        found = select(table).where(table.c.pseudonym == pseudonym, table.c.app == app.id)
        async with self._database.read() as connection:
            row = (await connection.execute(found)).first()
        if row is None:
            raise NotFound("this app has no such person", code="person_unknown")
        return await self._open(row)

    async def put(self, app: App, person: str, profile: Profile) -> tuple[Person, bool]:
        """Make or change a person; says whether they are new."""
        row = await self._row(app, person)
        if row is None:
            pseudonym = secrets.token_hex(16)
            await self._vault.create(pseudonym)
            sealed = await self._seal(pseudonym, person, profile)
            values = {
                "pseudonym": pseudonym,
                "app": app.id,
                "lookup": self._vault.lookup(app.id, person),
                "version": 1,
                "profile": sealed,
                "created_at": self._clock(),
            }
            try:
                async with self._database.write() as connection:
                    await connection.execute(insert(schema.people).values(**values))
            except StorageFailed as error:
                await self._vault.destroy(pseudonym)
                if isinstance(error.__cause__, IntegrityError):  # made by another request meanwhile
                    return await self.put(app, person, profile)
                raise
            return Person(pseudonym, person, 1, profile), True
        sealed = await self._seal(row.pseudonym, person, profile)
        table = schema.people
        change = update(table).where(table.c.pseudonym == row.pseudonym)
        async with self._database.write() as connection:
            await connection.execute(change.values(profile=sealed, version=table.c.version + 1))
        return Person(row.pseudonym, person, row.version + 1, profile), False

    async def erase(self, person: Person) -> None:
        """Destroy the person's key, then remove every row about them."""
        await self._vault.destroy(person.pseudonym)
        async with self._database.write() as connection:
            for column in (
                schema.consents.c.person,
                schema.decisions.c.person,
                schema.remembered.c.person,
                schema.people.c.pseudonym,
            ):
                await connection.execute(delete(column.table).where(column == person.pseudonym))

    async def _row(self, app: App, person: str) -> Any:
        table = schema.people
        found = select(table).where(table.c.app == app.id, table.c.lookup == self._vault.lookup(app.id, person))
        async with self._database.read() as connection:
            return (await connection.execute(found)).first()

    async def _seal(self, pseudonym: str, person: str, profile: Profile) -> bytes:
        return await self._vault.seal(pseudonym, "profile", msgspec.json.encode(_Stored(person, profile)))

    async def _open(self, row: Any) -> Person:
        stored = msgspec.json.decode(await self._vault.open(row.pseudonym, "profile", row.profile), type=_Stored)
        return Person(row.pseudonym, stored.id, row.version, stored.profile)
