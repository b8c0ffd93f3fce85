"""Apps: their API keys, and what they upload: catalogues and tone policies. None of it is personal data."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import msgspec
from sqlalchemy import Select, bindparam, delete, insert, select, update

from assistant.consent.exceptions import Exceptions
from assistant.consent.legal_rules import CONTEXTS, Context
from assistant.errors import Invalid, NotFound, Unauthenticated, Unavailable
from assistant.profile.access import APP_SCOPES, ApiKey, Scope, format_scopes, parse_scopes
from assistant.profile.person import App, AppSettings
from assistant.recommend.catalogue import Catalogue
from assistant.store import schema
from assistant.store.database import Database, StorageFailed
from assistant.store.point_reads import PointRead
from assistant.tone.rules import SHIPPED, Policy

log = logging.getLogger(__name__)

_DAY_S = 86_400.0
_USED_EVERY_S = 60.0
"""Seconds between two notes that a key was used."""
_ENDED = {
    "key_unknown": "this API key is unknown",
    "key_revoked": "this API key was revoked",
    "key_expired": "this API key has expired; `assistant keys rotate` makes another",
}
_NO_EXCEPTIONS = Exceptions()


class Apps:
    """Apps and their API keys. Only the SHA-256 of a key is stored, which is enough for 256 random bits.

    One that was revoked stops working at once here, and in other processes as soon as they hear of it.
    """

    def __init__(
        self, database: Database, clock: Callable[[], float], exceptions: Exceptions = _NO_EXCEPTIONS
    ) -> None:
        self._database, self._clock, self._exceptions = database, clock, exceptions
        self._noted: dict[str, float] = {}
        self._notes: set[asyncio.Task[None]] = set()

    async def create_key(
        self,
        name: str,
        context: Context,
        *,
        called: str = "",
        scopes: Collection[Scope] = APP_SCOPES,
        days: float | None = None,
    ) -> str:
        """Create an API key for the app `name`, and that app where it doesn't exist yet.

        `called` is a name for the key itself; it expires after `days`, or never. Raises `Invalid` (`app_invalid`,
        `key_invalid`, `app_exists`).
        """
        if not name.strip() or context not in CONTEXTS:
            raise Invalid(f"an app needs a name and one of the contexts {', '.join(CONTEXTS)}", code="app_invalid")
        if not scopes or not (days is None or 0 < days < float("inf")):
            raise Invalid("a key needs at least one scope, and more than 0 days if it expires", code="key_invalid")
        async with self._database.write() as connection:
            row = (await connection.execute(select(schema.apps).where(schema.apps.c.name == name))).first()
            if row is not None and row.context != context:
                raise Invalid(f"the app {name!r} exists already, with the context {row.context}", code="app_exists")
            app = row.id if row is not None else secrets.token_hex(8)
            if row is None:
                values = {"id": app, "name": name, "context": context, "created_at": self._clock()}
                await connection.execute(insert(schema.apps).values(**values))
            key, values = self._new(app, called, format_scopes(scopes), None if days is None else days * _DAY_S)
            await connection.execute(insert(schema.api_keys).values(**values))
        return key

    async def list_keys(self) -> list[ApiKey]:
        """Every key that was ever created, oldest first."""
        table = schema.api_keys
        return [_key(row) for row in await self._database.rows(_KEYS.order_by(table.c.created_at, table.c.id))]

    async def rotate_key(self, id: str, *, grace_s: float) -> str:
        """Create a key like the one with this `id`, which keeps working for `grace_s` seconds.

        The new key gets the whole lifetime of the old one. Raises `NotFound` (`key_unknown`), and `Invalid`
        (`key_ended`) where the old key was revoked or has expired.
        """
        now = self._clock()
        old = await self._by_id(id)
        if old.end_code(now):
            raise Invalid("this key was revoked or has expired; create another", code="key_ended")
        lifetime = None if old.expires_at is None else old.expires_at - old.created_at
        key, values = self._new(old.app.id, old.name, format_scopes(old.scopes), lifetime)
        ends = now + max(0.0, grace_s) if old.expires_at is None else min(old.expires_at, now + max(0.0, grace_s))
        table = schema.api_keys
        async with self._database.write() as connection:
            await connection.execute(insert(table).values(**values))
            await connection.execute(update(table).where(table.c.id == id).values(expires_at=ends))
        self._database.kept.drop(old.app.id)
        return key

    async def revoke_key(self, id: str) -> ApiKey:
        """Revoke a key for good. Raises `NotFound` (`key_unknown`)."""
        known, now, table = await self._by_id(id), self._clock(), schema.api_keys
        change = update(table).where(table.c.id == id, table.c.revoked_at.is_(None))
        await self._database.execute(change.values(revoked_at=now))
        self._database.kept.drop(known.app.id)
        return replace(known, revoked_at=now if known.revoked_at is None else known.revoked_at)

    async def authenticate(self, key: str) -> ApiKey:
        """The app and scopes of `key`. Raises `Unauthenticated` (`key_unknown`, `key_revoked` or `key_expired`)."""
        hashed, now = _hash(key), self._clock()

        async def read() -> ApiKey:
            rows = await self._database.find(_BY_HASH, hash=hashed)
            if not rows:
                raise Unauthenticated(_ENDED["key_unknown"], code="key_unknown")
            found = _key(rows[0])
            return replace(found, app=self._with_exemptions(found.app))

        known = await self._database.kept.read(("key", hashed), read, lambda found: found.app.id)
        if (ended := known.end_code(now)) is not None:
            raise Unauthenticated(_ENDED[ended], code=ended)
        self._note(known, now)
        return known

    async def find_app(self, name: str) -> App:
        """The app called `name`. Raises `NotFound` (`app_unknown`)."""
        found = await self._database.scalar(select(schema.apps.c.id).where(schema.apps.c.name == name))
        if found is None:
            raise NotFound("there is no app of that name", code="app_unknown")
        return await self.get(found)

    async def get(self, id: str) -> App:
        """The app with this id. Raises `NotFound` (`app_unknown`)."""

        async def read() -> App:
            row = await self._database.row(select(schema.apps).where(schema.apps.c.id == id))
            if row is None:
                raise NotFound("there is no such app", code="app_unknown")
            return self._with_exemptions(_app(row))

        return await self._database.kept.read(("app", id), read, lambda _: id)

    async def change_settings(self, app: App, settings: AppSettings) -> App:
        """Replace an app's settings."""
        change = update(schema.apps).where(schema.apps.c.id == app.id)
        await self._database.execute(change.values(settings=msgspec.json.encode(settings).decode()))
        self._database.kept.drop(app.id)
        return replace(app, settings=settings)

    def _with_exemptions(self, app: App) -> App:
        return replace(app, exemptions=self._exceptions.for_app(app.name))

    async def list_ended(self, ids: Collection[str]) -> dict[str, str]:
        """Which of these keys don't work any more, each with the error code that says why."""
        now = self._clock()
        rows = await self._database.rows_with(_KEYS, schema.api_keys.c.id, ids)
        living = {key.id: key.end_code(now) for key in map(_key, rows)}
        return {id: why for id in ids if (why := living.get(id, "key_unknown")) is not None}

    async def close(self) -> None:
        """Wait until every note of a use is written."""
        await asyncio.gather(*self._notes)

    def _new(self, app: str, name: str, scopes: str, life_s: float | None) -> tuple[str, dict[str, Any]]:
        key, now = f"att_{secrets.token_urlsafe(32)}", self._clock()
        return key, {
            "hash": _hash(key),
            "id": f"key_{secrets.token_hex(6)}",
            "name": name,
            "app": app,
            "scopes": scopes,
            "created_at": now,
            "expires_at": None if life_s is None else now + life_s,
        }

    async def _by_id(self, id: str) -> ApiKey:
        row = await self._database.row(_KEYS.where(schema.api_keys.c.id == id))
        if row is None:
            raise NotFound("there is no key with this id; `assistant keys list` shows them", code="key_unknown")
        return _key(row)

    def _note(self, key: ApiKey, now: float) -> None:
        """Note that a key was used: at most once a minute, in a task of its own."""
        if now - max(key.used_at or 0.0, self._noted.get(key.id, 0.0)) < _USED_EVERY_S:
            return
        self._noted[key.id] = now
        note = asyncio.create_task(self._write_used(key.id, now))
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _write_used(self, id: str, now: float) -> None:
        change = update(schema.api_keys).where(schema.api_keys.c.id == id)
        try:
            await self._database.execute(change.values(used_at=now))
        except StorageFailed:
            log.warning("the use of a key could not be recorded")


_KEYS: Select[Any] = select(
    schema.apps, *(column.label(f"key_{column.name}") for column in schema.api_keys.c if column.name != "hash")
).join(schema.api_keys, schema.api_keys.c.app == schema.apps.c.id)


_BY_HASH = PointRead(_KEYS.where(schema.api_keys.c.hash == bindparam("hash")))


def _app(row: Any) -> App:
    return App(row.id, row.name, row.context, msgspec.json.decode(row.settings, type=AppSettings))


def _key(row: Any) -> ApiKey:
    times = row.key_created_at, row.key_used_at, row.key_expires_at, row.key_revoked_at
    return ApiKey(row.key_id, row.key_name, _app(row), parse_scopes(row.key_scopes.split()), *times)


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


class AppPolicies:
    """At most one policy for each app; the others use the shipped one."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    async def get(self, app: str) -> Policy:
        """The app's own policy, or the shipped one.

        Raises `Unavailable` (`policy_unreadable`) where its own can't be read: it is never replaced silently.
        """
        table = schema.policies

        async def read() -> Policy:
            body = await self._database.scalar(select(table.c.body).where(table.c.app == app))
            return SHIPPED if body is None else _read(body)

        return await self._database.kept.read(("policy", app), read, lambda _: app)

    async def put(self, app: str, policy: Policy) -> None:
        """Replace the app's policy; durable when this returns."""
        values = {"body": msgspec.json.encode(policy), "updated_at": self._clock()}
        await self._database.execute(self._database.upsert(schema.policies, ["app"], app=app, **values))
        self._database.kept.drop(app)

    async def drop(self, app: str) -> None:
        """Remove the app's policy, so that the shipped one holds again."""
        await self._database.execute(delete(schema.policies).where(schema.policies.c.app == app))
        self._database.kept.drop(app)


def _read(body: bytes) -> Policy:
    try:
        return msgspec.json.decode(body, type=Policy)
    except msgspec.DecodeError as error:
        raise Unavailable(
            "the app's tone policy can't be read; upload it again", code="policy_unreadable"
        ) from error


class Catalogues:
    """One catalogue for each app; `recommend.catalogue.CatalogueSource`. They hold no personal data."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database, self._clock = database, clock

    async def put(self, app: str, catalogue: Catalogue) -> None:
        """Replace the app's catalogue."""
        values = {"body": msgspec.json.encode(catalogue), "updated_at": self._clock()}
        await self._database.execute(self._database.upsert(schema.catalogues, ["app"], app=app, **values))
        self._database.kept.drop(app)

    async def get(self, app: str) -> Catalogue:
        """The app's catalogue; an empty one where it has none."""
        table = schema.catalogues

        async def read() -> Catalogue:
            body = await self._database.scalar(select(table.c.body).where(table.c.app == app))
            return msgspec.json.decode(body, type=Catalogue) if body else Catalogue(version="", items=())

        return await self._database.kept.read(("catalogue", app), read, lambda _: app)

    async def missing(self) -> list[str]:
        """The names of the apps that have no catalogue, sorted."""
        apps, catalogues = schema.apps, schema.catalogues
        query = select(apps.c.name).where(apps.c.id.not_in(select(catalogues.c.app))).order_by(apps.c.name)
        return [row.name for row in await self._database.rows(query)]
