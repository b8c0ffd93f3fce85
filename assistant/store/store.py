"""Reading and writing what is kept."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_args

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import IntegrityError

from assistant.consent.policy import CONTEXTS, Context
from assistant.consent.receipt import Actor, Event, Record
from assistant.emotion import Baseline, Modality
from assistant.errors import Invalid, NotFound, Unauthenticated
from assistant.profile.person import App, Person, Profile
from assistant.recommend.catalogue import Catalogue
from assistant.store import schema
from assistant.store.database import Database, StorageFailed
from assistant.store.vault import Vault


class _Stored(msgspec.Struct):
    """What the profile column holds, sealed."""

    id: str
    profile: Profile


class Apps:
    """Apps and their API keys. A key is kept only as its SHA-256: it has 256 bits of its own."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    async def create_key(self, name: str, context: Context) -> str:
        """A new API key for the app called `name`, which is made where it doesn't exist yet."""
        if not name.strip() or context not in CONTEXTS:
            raise Invalid(f"an app needs a name and one of the contexts {', '.join(CONTEXTS)}", code="app_invalid")
        key = f"att_{secrets.token_urlsafe(32)}"
        async with self._database.write() as connection:
            row = (await connection.execute(select(schema.apps).where(schema.apps.c.name == name))).first()
            if row is not None and row.context != context:
                raise Invalid(f"the app {name!r} exists with the context {row.context}", code="app_exists")
            app = row.id if row is not None else secrets.token_hex(8)
            if row is None:
                values = {"id": app, "name": name, "context": context, "created_at": self._clock()}
                await connection.execute(insert(schema.apps).values(**values))
            values = {"hash": _hash(key), "app": app, "created_at": self._clock()}
            await connection.execute(insert(schema.api_keys).values(**values))
        return key

    async def by_key(self, key: str) -> App:
        """The app that holds `key`. Raises `Unauthenticated` (`key_unknown`)."""
        query = (
            select(schema.apps)
            .join(schema.api_keys, schema.api_keys.c.app == schema.apps.c.id)
            .where(schema.api_keys.c.hash == _hash(key))
        )
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        if row is None:
            raise Unauthenticated("this API key is not known", code="key_unknown")
        return App(row.id, row.name, row.context)


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


class ConsentRecords:
    """The ledger's records: only ever appended to."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def append(self, record: Record) -> None:
        """Keep one record; durable when this returns."""
        values = {name: getattr(record, name) for name in record.__slots__ if name != "actor"}
        values |= {"actor": record.actor.kind, "evidence": record.actor.evidence}
        async with self._database.write() as connection:
            await connection.execute(insert(schema.consents).values(**values))

    async def of(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""
        table = schema.consents
        query = select(table).where(table.c.person == person).order_by(table.c.seq)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        return [
            Record(
                id=row.id,
                person=row.person,
                at=row.at,
                event=_event(row.event),
                modality=row.modality,
                purpose=row.purpose,
                notice=row.notice,
                expires_at=row.expires_at,
                actor=Actor(row.actor, row.evidence),
                reason=row.reason,
            )
            for row in rows
        ]


class Catalogues:
    """One catalogue for each app. They hold no personal data."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, Catalogue] = {}

    async def put(self, app: str, catalogue: Catalogue) -> None:
        """Replace the app's catalogue."""
        values = {"body": msgspec.json.encode(catalogue), "updated_at": self._clock()}
        change = upsert(schema.catalogues).values(app=app, **values)
        async with self._database.write() as connection:
            await connection.execute(change.on_conflict_do_update(index_elements=["app"], set_=values))
        self._known[app] = catalogue

    async def get(self, app: str) -> Catalogue:
        """The app's catalogue; an empty one where it has put none."""
        if app not in self._known:
            query = select(schema.catalogues.c.body).where(schema.catalogues.c.app == app)
            async with self._database.read() as connection:
                body = await connection.scalar(query)
            self._known[app] = (
                msgspec.json.decode(body, type=Catalogue) if body else Catalogue(version="", items=())
            )
        return self._known[app]


class Decisions:
    """What was chosen for a person, and why; sealed. And, with their consent, how they usually are."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def add(self, decision: str, person: str, at: float, body: dict[str, Any]) -> None:
        """Keep one decision; durable when this returns."""
        sealed = await self._vault.seal(person, "decision", msgspec.json.encode(body))
        async with self._database.write() as connection:
            await connection.execute(
                insert(schema.decisions).values(id=decision, person=person, at=at, body=sealed)
            )

    async def get(self, decision: str, person: str) -> dict[str, Any]:
        """Raises `NotFound` (`decision_unknown`)."""
        table = schema.decisions
        query = select(table.c.body).where(table.c.id == decision, table.c.person == person)
        async with self._database.read() as connection:
            sealed = await connection.scalar(query)
        if sealed is None:
            raise NotFound("there is no such decision", code="decision_unknown")
        body: dict[str, Any] = msgspec.json.decode(await self._vault.open(person, "decision", sealed))
        return body

    async def remember(self, person: str, modality: Modality, baseline: Baseline, at: float) -> None:
        """Keep a person's baseline; only with their grant to remember."""
        body = await self._vault.seal(person, f"baseline {modality}", msgspec.json.encode(baseline))
        values = {"at": at, "body": body}
        change = upsert(schema.remembered).values(person=person, modality=modality, **values)
        async with self._database.write() as connection:
            await connection.execute(
                change.on_conflict_do_update(index_elements=["person", "modality"], set_=values)
            )

    async def recall(self, person: str, modality: Modality) -> Baseline | None:
        """The baseline that was kept, if any."""
        table = schema.remembered
        query = select(table.c.body).where(table.c.person == person, table.c.modality == modality)
        async with self._database.read() as connection:
            sealed = await connection.scalar(query)
        if sealed is None:
            return None
        opened = await self._vault.open(person, f"baseline {modality}", sealed)
        baseline = msgspec.json.decode(opened, type=Baseline)
        return replace(baseline, source="stored")

    async def forget(self, person: str, modality: Modality) -> None:
        """Drop the baseline that was kept."""
        table = schema.remembered
        gone = delete(table).where(table.c.person == person, table.c.modality == modality)
        async with self._database.write() as connection:
            await connection.execute(gone)


def _event(text: str) -> Event:
    assert text in get_args(Event)
    return text  # type: ignore[return-value]


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
