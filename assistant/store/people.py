"""People: their profiles, devices and recent context. All of it is sealed with the person's key."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import msgspec
from sqlalchemy import bindparam, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from assistant.errors import AlreadyTaken, Conflict, Invalid, NotFound
from assistant.profile.person import MAX_DEVICES, App, ContextPart, Device, Person, Profile
from assistant.store import schema
from assistant.store.database import Database, StorageFailed
from assistant.store.keys import Vault
from assistant.store.point_reads import PointRead

PERSONAL = tuple(t for t in schema.main.sorted_tables if "person" in t.c and t is not schema.consents)
"""Tables whose rows are each about one person. Not the ledger: its records stay, by pseudonym."""

_BY_LOOKUP = PointRead(
    select(schema.people).where(
        schema.people.c.app == bindparam("app"), schema.people.c.lookup == bindparam("lookup")
    )
)
_BY_PSEUDONYM = PointRead(
    select(schema.people).where(
        schema.people.c.pseudonym == bindparam("pseudonym"), schema.people.c.app == bindparam("app")
    )
)
_AT_ONCE = 500
"""Ids in one query."""


_CONTEXT = PointRead(
    select(schema.contexts)
    .where(schema.contexts.c.person == bindparam("person"), schema.contexts.c.expires_at > bindparam("now"))
    .order_by(schema.contexts.c.name)
)


class StoredProfile(msgspec.Struct):
    """The sealed content of the profile column."""

    id: str
    profile: Profile


class People:
    """The people of each app. Their ids and profiles are sealed; they are found by a keyed hash."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], float]) -> None:
        self._database, self._vault, self._clock = database, vault, clock

    async def get(self, app: App, person: str) -> Person:
        """Raises `NotFound` (`person_unknown`)."""
        lookup = self._vault.lookup(app.id, person)

        async def read() -> Person:
            return await self._open(await self._row(app, lookup))

        return await self._database.kept.read(("person", lookup), read, lambda found: found.pseudonym)

    async def find_holder(self, app: App, pseudonym: str) -> tuple[Person, int]:
        """Whose token names this pseudonym, and how often their tokens were made void. Raises `NotFound`."""

        async def read() -> tuple[Person, int]:
            rows = await self._database.find(_BY_PSEUDONYM, pseudonym=pseudonym, app=app.id)
            return await self._open(next(iter(rows), None)), rows[0].token_epoch

        return await self._database.kept.read(("holder", app.id, pseudonym), read, lambda found: found[0].pseudonym)

    async def void_tokens(self, person: Person) -> None:
        """Void every token that was issued for this person."""
        table = schema.people
        change = update(table).where(table.c.pseudonym == person.pseudonym)
        await self._database.execute(change.values(token_epoch=table.c.token_epoch + 1))
        self._database.kept.drop(person.pseudonym)

    async def epochs(self, pseudonyms: Collection[str]) -> dict[str, int]:
        """How often the tokens of each of these people were voided; those who were erased are left out."""
        table = schema.people
        query = select(table.c.pseudonym, table.c.token_epoch)
        rows = await self._database.rows_with(query, table.c.pseudonym, pseudonyms)
        return {row.pseudonym: row.token_epoch for row in rows}

    async def put(
        self, app: App, person: str, profile: Profile, *, if_version: int | None = None
    ) -> tuple[Person, bool]:
        """Create or change a person; returns whether they are new.

        Raises `Conflict` unless `if_version` is the current version; 0 means that the person does not exist yet.
        """
        lookup = self._vault.lookup(app.id, person)
        row = await self._row(app, lookup)
        if if_version is not None and if_version != (0 if row is None else row.version):
            raise Conflict("this profile has another version than you expect; read it again and retry")
        if row is None:
            pseudonym = secrets.token_hex(16)
            await self._vault.create(pseudonym)
            sealed = await self._seal(pseudonym, person, profile)
            values = {"pseudonym": pseudonym, "app": app.id, "lookup": lookup, "version": 1, "profile": sealed}
            try:
                await self._database.execute(insert(schema.people).values(**values, created_at=self._clock()))
            except StorageFailed as error:
                await self._vault.destroy(pseudonym)
                if isinstance(error.__cause__, IntegrityError):  # another request created them meanwhile
                    return await self.put(app, person, profile, if_version=if_version)
                raise
            return Person(pseudonym, person, 1, profile), True
        sealed = await self._seal(row.pseudonym, person, profile)
        table = schema.people
        change = update(table).where(table.c.pseudonym == row.pseudonym, table.c.version == row.version)
        if not await self._database.execute(change.values(profile=sealed, version=row.version + 1)):
            # another request changed them meanwhile
            return await self.put(app, person, profile, if_version=if_version)
        self._database.kept.drop(row.pseudonym)
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
        self._database.kept.drop(*named)
        await self._database.wipe_log()

    async def _row(self, app: App, lookup: str) -> Any:
        return next(iter(await self._database.find(_BY_LOOKUP, app=app.id, lookup=lookup)), None)

    async def _seal(self, pseudonym: str, person: str, profile: Profile) -> bytes:
        return await self._vault.seal(pseudonym, "profile", msgspec.json.encode(StoredProfile(person, profile)))

    async def _open(self, row: Any) -> Person:
        if row is None:
            raise NotFound("this app has no such person", code="person_unknown")
        stored = msgspec.json.decode(
            await self._vault.open(row.pseudonym, "profile", row.profile), type=StoredProfile
        )
        return Person(row.pseudonym, stored.id, row.version, stored.profile)


class Contexts:
    """Recent context; `profile.context.ContextStore`. An expired part is not returned, and the purge removes it."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], float]) -> None:
        self._database, self._vault, self._clock = database, vault, clock

    async def put(self, person: str, parts: Mapping[str, ContextPart], gone: Iterable[str] = ()) -> None:
        """Replace these parts, and drop those named in `gone`."""
        table = schema.contexts
        rows: list[dict[str, Any]] = []
        for name, noted in parts.items():
            body = await self._vault.seal(person, f"context {name}", msgspec.json.encode(noted.value))
            rows.append({"name": name, "at": noted.at, "expires_at": noted.expires_at, "body": body})
        async with self._database.write() as connection:
            for row in rows:
                await connection.execute(self._database.upsert(table, ["person", "name"], person=person, **row))
            for name in gone:
                await connection.execute(delete(table).where(table.c.person == person, table.c.name == name))
        self._database.kept.drop(person)

    async def read_context(self, person: str) -> dict[str, ContextPart]:
        """The parts of a person's context that have not expired, by name."""
        now = self._clock()

        async def read() -> dict[str, ContextPart]:
            found: dict[str, ContextPart] = {}
            for row in await self._database.find(_CONTEXT, person=person, now=now):
                value = msgspec.json.decode(await self._vault.open(person, f"context {row.name}", row.body))
                found[row.name] = ContextPart(value, row.at, row.expires_at)
            return found

        parts = await self._database.kept.read(("context", person), read, lambda _: person)
        return {name: part for name, part in parts.items() if part.expires_at > now}

    async def clear(self, person: str) -> None:
        """Drop all of it."""
        await self._database.execute(delete(schema.contexts).where(schema.contexts.c.person == person))
        self._database.kept.drop(person)


class Devices:
    """Which device belongs to which person. The names that apps and people give them are sealed."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], float]) -> None:
        self._database, self._vault, self._clock = database, vault, clock

    async def link(self, app: App, person: Person, device: Device) -> bool:
        """Link a device to a person, or change its description; returns whether it is new.

        Raises `AlreadyTaken` (`device_linked`) where it belongs to somebody else of the app, and `Invalid`
        (`too_many_devices`).
        """
        table, row = schema.devices, await self._row(app, device.id)
        if row is not None and row.person != person.pseudonym:
            raise AlreadyTaken(
                "this device is linked to another person; unlink it there first", code="device_linked"
            )
        body = await self._vault.seal(person.pseudonym, "device", msgspec.json.encode(device))
        values = {"at": device.linked_at, "body": body}
        if row is not None:
            await self._database.execute(table.update().where(table.c.id == row.id).values(**values))
            return False
        lookup = self._lookup(app, device.id)
        values |= {"id": secrets.token_hex(12), "app": app.id, "lookup": lookup, "person": person.pseudonym}
        counted = select(func.count()).select_from(table).where(table.c.person == person.pseudonym)
        try:
            async with self._database.write() as connection:
                if (await connection.scalar(counted) or 0) >= MAX_DEVICES:
                    raise Invalid(f"a person has at most {MAX_DEVICES} devices", code="too_many_devices")
                await connection.execute(insert(table).values(**values))
        except StorageFailed as error:
            if isinstance(error.__cause__, IntegrityError):  # linked by another request meanwhile
                return await self.link(app, person, device)
            raise
        return True

    async def unlink(self, app: App, person: Person, device: str) -> None:
        """Unlink a device. Raises `NotFound` (`device_unknown`) where the person has no such device."""
        table = schema.devices
        gone = delete(table).where(
            table.c.app == app.id, table.c.lookup == self._lookup(app, device), table.c.person == person.pseudonym
        )
        if not await self._database.execute(gone):
            raise NotFound("this person has no such device", code="device_unknown")

    async def list_devices(self, person: str) -> list[Device]:
        """The devices of one person, in the order in which they were linked."""
        table = schema.devices
        query = select(table.c.body).where(table.c.person == person).order_by(table.c.at, table.c.id)
        sealed = [row.body for row in await self._database.rows(query)]
        return [msgspec.json.decode(await self._vault.open(person, "device", body), type=Device) for body in sealed]

    async def owner(self, app: App, device: str) -> str:
        """The pseudonym of the person who has this device. Raises `NotFound` (`device_unknown`)."""
        row = await self._row(app, device)
        if row is None:
            raise NotFound("this app has no such device", code="device_unknown")
        return str(row.person)

    def _lookup(self, app: App, device: str) -> str:
        return self._vault.lookup(app.id, f"device\0{device}")

    async def _row(self, app: App, device: str) -> Any:
        table = schema.devices
        query = select(table).where(table.c.app == app.id, table.c.lookup == self._lookup(app, device))
        return await self._database.row(query)
