"""The devices of people. They are sealed, and found by a keyed hash, like people."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec
from sqlalchemy import delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from assistant.errors import AlreadyTaken, Invalid, NotFound
from assistant.profile.person import MAX_DEVICES, App, Device, Person
from assistant.store import schema
from assistant.store.database import Database, StorageFailed
from assistant.store.keys.vault import Vault


class Devices:
    """Which device belongs to which person. The names that apps and people give them are sealed."""

    def __init__(self, database: Database, vault: Vault, clock: Callable[[], float]) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock

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
            async with self._database.write() as connection:
                await connection.execute(table.update().where(table.c.id == row.id).values(**values))
            return False
        values |= {
            "id": secrets.token_hex(12),
            "app": app.id,
            "lookup": self._lookup(app, device.id),
            "person": person.pseudonym,
        }
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
        async with self._database.write() as connection:
            if not (await connection.execute(gone)).rowcount:
                raise NotFound("this person has no such device", code="device_unknown")

    async def list_devices(self, person: str) -> list[Device]:
        """The devices of one person, in the order in which they were linked."""
        table = schema.devices
        query = select(table.c.body).where(table.c.person == person).order_by(table.c.at, table.c.id)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            msgspec.json.decode(await self._vault.open(person, "device", row.body), type=Device) for row in rows
        ]

    async def owner(self, app: App, device: str) -> str:
        """The pseudonym of the person who has this device. Raises `NotFound` (`device_unknown`)."""
        row = await self._row(app, device)
        if row is None:
            raise NotFound("this app has no such device", code="device_unknown")
        pseudonym: str = row.person
        return pseudonym

    def _lookup(self, app: App, device: str) -> str:
        return self._vault.lookup(app.id, f"device\0{device}")

    async def _row(self, app: App, device: str) -> Any:
        table = schema.devices
        query = select(table).where(table.c.app == app.id, table.c.lookup == self._lookup(app, device))
        async with self._database.read() as connection:
            return (await connection.execute(query)).first()
