"""Apps and their API keys."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from sqlalchemy import insert, select

from assistant.consent.policy import CONTEXTS, Context
from assistant.errors import Invalid, Unauthenticated
from assistant.profile.person import App
from assistant.store import schema
from assistant.store.database import Database


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


def _hash(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
