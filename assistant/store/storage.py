"""All storage, opened together. It needs no model: commands use it, and the server builds on it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from assistant.config import Settings
from assistant.consent.exceptions import exceptions_of
from assistant.consent.ledger import Ledger
from assistant.consent.receipt import Actor, Event, Record
from assistant.profile.person import App, Person
from assistant.store.access_log import AccessLog
from assistant.store.aggregates import Aggregates
from assistant.store.apps import AppPolicies, Apps, Catalogues
from assistant.store.consents import ConsentRecords
from assistant.store.database import Database
from assistant.store.decisions import Decisions
from assistant.store.export import Exports
from assistant.store.exposures import Exposures
from assistant.store.keys import Vault, masters_of, open_vault
from assistant.store.migrate import migrate
from assistant.store.people import Contexts, Devices, People
from assistant.store.purge import Purge
from assistant.store.remembered import MoodHistory, StoredBaselines
from assistant.store.rewards import Rewards


@dataclass(frozen=True, slots=True)
class Storage:
    """What is stored, by noun, and people's rights over it."""

    database: Database
    vault: Vault
    apps: Apps
    people: People
    catalogues: Catalogues
    policies: AppPolicies
    decisions: Decisions
    baselines: StoredBaselines
    rewards: Rewards
    exposures: Exposures
    moods: MoodHistory
    devices: Devices
    contexts: Contexts
    access: AccessLog
    records: ConsentRecords
    ledger: Ledger
    exports: Exports
    aggregates: Aggregates
    purge: Purge

    async def erase(self, app: App, people: list[Person], actor: Actor) -> None:
        """Erase people: their grants and moods in memory of every process, their keys, then every row about them.

        The ledger keeps its records, whose pseudonyms lead nowhere now, and adds `erased` for each person.
        That is written first: if the process dies in between, the person can still be named and erased again.
        """
        for person in people:
            await self.ledger.record_event(person.pseudonym, "erased", actor, app=app.id)
        await self.people.erase(*people)
        for person in people:
            self.access.forget(person.pseudonym)
            self.ledger.forget(person.pseudonym)

    async def restrict(self, app: App, person: Person, restricted: bool, actor: Actor) -> None:
        """Keep somebody's data without using it, or end that. Recorded only where it changes something."""
        if (await self.ledger.standing(person.pseudonym)).restricted != restricted:
            event: Event = "restricted" if restricted else "unrestricted"
            await self.ledger.record_event(person.pseudonym, event, actor, app=app.id)

    async def object(self, app: App, person: Person, objected: bool, actor: Actor) -> None:
        """Stop profiling somebody for content, or allow it again. Recorded only where it changes something."""
        if (await self.ledger.standing(person.pseudonym)).objected != objected:
            event: Event = "objected" if objected else "unobjected"
            await self.ledger.record_event(person.pseudonym, event, actor, app=app.id)


@asynccontextmanager
async def open_storage(
    settings: Settings, *, clock: Callable[[], float], new_id: Callable[[], str]
) -> AsyncIterator[Storage]:
    """Open the databases, brought to the newest schema, and close them at the end.

    Raises `ConfigInvalid` without a master key, `StorageFailed` without a database.
    """
    async with AsyncExitStack() as stack:
        masters = masters_of(settings)
        migrate(settings.database)
        database, keys = Database(settings.database), Database(settings.keys, shreds=True)
        stack.push_async_callback(database.close)
        stack.push_async_callback(keys.close)
        vault = await open_vault(keys, masters)
        apps = Apps(database, clock, exceptions_of(settings))
        stack.push_async_callback(apps.close)
        access = AccessLog(database, clock)
        await stack.enter_async_context(access.writing())
        records = ConsentRecords(database)
        decisions, rewards = Decisions(database, vault), Rewards(database, vault)
        for written in (records, decisions, rewards):
            stack.push_async_callback(written.close)
        ledger = Ledger(records, notice=settings.notice, grant_days=settings.grant_days, clock=clock, new_id=new_id)
        purge = Purge(database, ledger, settings, clock, rewards.forget_mood)

        def forget(record: Record) -> None:
            purge.forget_after(record)
            if record.event == "erased":  # another process may have erased them
                vault.forget(record.person)
                database.kept.drop(record.person)
                access.forget(record.person)

        ledger.listen(None, forget)
        yield Storage(
            database=database, vault=vault, apps=apps, records=records, ledger=ledger, access=access, purge=purge,
            decisions=decisions, rewards=rewards, exposures=Exposures(database, vault),
            catalogues=Catalogues(database, clock), policies=AppPolicies(database, clock),
            people=People(database, vault, clock), devices=Devices(database, vault, clock),
            contexts=Contexts(database, vault, clock), moods=MoodHistory(database, vault),
            baselines=StoredBaselines(database, vault), aggregates=Aggregates(database, clock),
            exports=Exports(database, vault, ledger, access, clock),
        )  # fmt: skip
