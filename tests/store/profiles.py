"""The stores of profiles, devices, contexts and accesses, opened for a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import select

from assistant.profile.person import App, Person, Profile
from assistant.store import schema as tables
from assistant.store.access_log import AccessLog
from assistant.store.apps import Apps
from assistant.store.database import Database
from assistant.store.keys import LocalKeys, Vault, open_vault
from assistant.store.people import Contexts, Devices, People
from tests.conftest import Databases

NOW = 1_800_000_000.0


class Store:
    """What is kept about people's profiles, with a clock that a test moves."""

    def __init__(self, main: Database, vault: Vault) -> None:
        self.now = NOW
        self.main = main
        self.apps = Apps(main, self.clock)
        self.people = People(main, vault, self.clock)
        self.devices = Devices(main, vault, self.clock)
        self.contexts = Contexts(main, vault, self.clock)
        self.access = AccessLog(main, self.clock)

    def clock(self) -> float:
        return self.now

    async def person(self, app: App, name: str = "ada") -> Person:
        return (await self.people.put(app, name, Profile()))[0]

    async def app(self, name: str = "test") -> App:
        return (await self.apps.authenticate(await self.apps.create_key(name, "general"))).app

    async def everything(self, *, but: str = "") -> str:
        """All that stands in the main database, `but` for one table, as text."""
        found = []
        async with self.main.read() as connection:
            for table in (each for each in tables.main.sorted_tables if each.name != but):
                found += [repr(tuple(row)) for row in (await connection.execute(select(table))).all()]
        return "\n".join(found)


@asynccontextmanager
async def open_profiles(databases: Databases) -> AsyncIterator[Store]:
    """Over databases that are there; closed at the end."""
    main, keys = Database(databases.main), Database(databases.keys)
    try:
        store = Store(main, await open_vault(keys, LocalKeys([bytes(range(32))])))
        yield store
        await store.apps.close()
    finally:
        await main.close()
        await keys.close()
