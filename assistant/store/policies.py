"""Apps' own tone policies. They hold no personal data."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from sqlalchemy import delete, insert, select

from assistant.errors import Unavailable
from assistant.store import schema
from assistant.store.database import Database
from assistant.tone.rules import SHIPPED, Policy


class AppPolicies:
    """At most one policy for each app; the others use the shipped one. Read each time, so every process agrees."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._known: dict[str, tuple[bytes, Policy]] = {}

    async def get(self, app: str) -> Policy:
        """The app's own policy, or the shipped one.

        Raises `Unavailable` (`policy_unreadable`) where its own can't be read: it is never replaced silently.
        """
        table = schema.policies
        async with self._database.read() as connection:
            body = await connection.scalar(select(table.c.body).where(table.c.app == app))
        if body is None:
            self._known.pop(app, None)
            return SHIPPED
        known = self._known.get(app)
        if known is None or known[0] != body:
            known = self._known[app] = (body, _read(body))
        return known[1]

    async def put(self, app: str, policy: Policy) -> None:
        """Replace the app's policy; durable when this returns."""
        table = schema.policies
        values = {"app": app, "body": msgspec.json.encode(policy), "updated_at": self._clock()}
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.app == app))
            await connection.execute(insert(table).values(**values))

    async def drop(self, app: str) -> None:
        """Remove the app's policy, so that the shipped one holds again."""
        table = schema.policies
        async with self._database.write() as connection:
            await connection.execute(delete(table).where(table.c.app == app))


def _read(body: bytes) -> Policy:
    try:
        return msgspec.json.decode(body, type=Policy)
    except msgspec.DecodeError as error:
        raise Unavailable(
            "the app's tone policy can't be read; upload it again", code="policy_unreadable"
        ) from error
