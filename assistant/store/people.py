"""People and their profiles. Both are sealed with the person's key."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from assistant.errors import Conflict, NotFound
from assistant.profile.person import App, Person, Profile
from assistant.store import schema
from assistant.store.database import Database, StorageFailed
from assistant.store.keys.vault import Vault

PERSONAL = tuple(t for t in schema.main.sorted_tables if "person" in t.c and t is not schema.consents)
"""Tables whose rows are each about one person. Not the ledger: its records stay, by pseudonym."""

_BY_LOOKUP = select(schema.people).where(
    schema.people.c.app == bindparam("app"), schema.people.c.lookup == bindparam("lookup")
)
"""Built once, because every request begins with this query."""

_AT_ONCE = 500
"""Ids in one query."""


class StoredProfile(msgspec.Struct):
    """The sealed content of the profile column."""

    id: str
    profile: Profile


class People:
    """The people of each app. Their ids and profiles are sealed; they are found by a keyed hash."""

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

    async def find_holder(self, app: App, pseudonym: str) -> tuple[Person, int]:
        """Whose token names this pseudonym, and how often their tokens were made void. Raises `NotFound`."""
        table = schema.people
        found = select(table).where(table.c.pseudonym == pseudonym, table.c.app == app.id)
        async with self._database.read() as connection:
            row = (await connection.execute(found)).first()
        if row is None:
            raise NotFound("this app has no such person", code="person_unknown")
        return await self._open(row), row.token_epoch

    async def void_tokens(self, person: Person) -> None:
        """Void every token that was issued for this person."""
        table = schema.people
        change = update(table).where(table.c.pseudonym == person.pseudonym)
        async with self._database.write() as connection:
            await connection.execute(change.values(token_epoch=table.c.token_epoch + 1))

    async def epochs(self, pseudonyms: Collection[str]) -> dict[str, int]:
        """How often the tokens of each of these people were voided; those who were erased are left out."""
        named, table = tuple(pseudonyms), schema.people
        found: dict[str, int] = {}
        for start in range(0, len(named), _AT_ONCE):
            part = named[start : start + _AT_ONCE]
            query = select(table.c.pseudonym, table.c.token_epoch).where(table.c.pseudonym.in_(part))
            async with self._database.read() as connection:
                found |= {row.pseudonym: row.token_epoch for row in (await connection.execute(query)).all()}
        return found

    async def put(
        self, app: App, person: str, profile: Profile, *, if_version: int | None = None
    ) -> tuple[Person, bool]:
        """Create or change a person; returns whether they are new.

        Raises `Conflict` unless `if_version` is the current version; 0 means that the person does not exist yet.
        """
        row = await self._row(app, person)
        if if_version is not None and if_version != (0 if row is None else row.version):
            raise _version_conflict()
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
                if isinstance(error.__cause__, IntegrityError):  # another request created them meanwhile
                    return await self.put(app, person, profile, if_version=if_version)
                raise
            return Person(pseudonym, person, 1, profile), True
        sealed = await self._seal(row.pseudonym, person, profile)
        table = schema.people
        change = update(table).where(table.c.pseudonym == row.pseudonym, table.c.version == row.version)
        async with self._database.write() as connection:
            changed = await connection.execute(change.values(profile=sealed, version=row.version + 1))
        if not changed.rowcount:  # another request changed them meanwhile
            return await self.put(app, person, profile, if_version=if_version)
        return Person(row.pseudonym, person, row.version + 1, profile), False

    async def erase(self, *people: Person) -> None:
        """Destroy the people's keys, then remove every row about them except the ledger's records."""
        named = [person.pseudonym for person in people]
        await self._vault.destroy(*named)
        for start in range(0, len(named), _AT_ONCE):
            async with self._database.write() as connection:
                for column in (*(table.c.person for table in PERSONAL), schema.people.c.pseudonym):
                    gone = delete(column.table).where(column.in_(named[start : start + _AT_ONCE]))
                    await connection.execute(gone)
        await self._database.wipe_log()

    async def _row(self, app: App, person: str) -> Any:
        values = {"app": app.id, "lookup": self._vault.lookup(app.id, person)}
        async with self._database.read() as connection:
            return (await connection.execute(_BY_LOOKUP, values)).first()

    async def _seal(self, pseudonym: str, person: str, profile: Profile) -> bytes:
        return await self._vault.seal(pseudonym, "profile", msgspec.json.encode(StoredProfile(person, profile)))

    async def _open(self, row: Any) -> Person:
        stored = msgspec.json.decode(
            await self._vault.open(row.pseudonym, "profile", row.profile), type=StoredProfile
        )
        return Person(row.pseudonym, stored.id, row.version, stored.profile)


def _version_conflict() -> Conflict:
    return Conflict("this profile has another version than you expect; read it again and retry")
