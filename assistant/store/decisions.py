"""The log of decisions: what was chosen for each person, and why. Each is sealed with the person's key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace
from sqlalchemy import bindparam, select, update

from assistant.decision import Decision
from assistant.errors import NotFound
from assistant.recommend.decision import DecidedRanking
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.group_commit import GroupCommit
from assistant.store.keys import Vault
from assistant.store.point_reads import PointRead
from assistant.store.row_inserts import RowInsert

_INSERT = RowInsert(schema.decisions)
_OF_APP = PointRead(
    select(schema.decisions.c.person, schema.decisions.c.at, schema.decisions.c.body)
    .join(schema.people, schema.people.c.pseudonym == schema.decisions.c.person)
    .where(schema.decisions.c.id == bindparam("decision"), schema.people.c.app == bindparam("app"))
)
_decode = msgspec.json.Decoder(Decision).decode


class Decisions:
    """Implements `decision.DecisionLog` and `recommend.decision.DecisionBook`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault
        self._writes = GroupCommit(self._write)

    async def add(self, decision: str, person: str, at: float, body: Decision) -> None:
        """Store one decision; durable when this returns."""
        sealed = await self._vault.seal(person, "decision", msgspec.json.encode(body))
        await self._writes.write({"id": decision, "person": person, "at": at, "body": sealed})

    async def _write(self, rows: Sequence[dict[str, Any]]) -> Sequence[bool]:
        return await self._database.insert(_INSERT, rows)

    async def close(self) -> None:
        """Wait until everything is written."""
        await self._writes.close()

    async def get(self, decision: str, person: str) -> Decision:
        """A person's decision. Raises `NotFound` (`decision_unknown`)."""
        table = schema.decisions
        query = select(table.c.body).where(table.c.id == decision, table.c.person == person)
        sealed = await self._database.scalar(query)
        if sealed is None:
            raise _unknown()
        return await self._open(person, sealed)

    async def find(self, app: str, decision: str) -> DecidedRanking:
        """The ranking of a decision that was made for one of the app's people.

        Raises `NotFound` (`decision_unknown`), the same whether or not another app has it, and where it ranked
        nothing.
        """
        row = await self._row(app, decision)
        ranking = (await self._open(row.person, row.body)).ranking
        if ranking is None:
            raise _unknown()
        return DecidedRanking(row.person, row.at, ranking)

    async def made(self, decision: str, app: str) -> tuple[str, float]:
        """The pseudonym of the person of `app` that a decision was made for, and its unix time.

        Raises `NotFound` (`decision_unknown`), the same whether or not another app has it.
        """
        row = await self._row(app, decision)
        return row.person, row.at

    async def activate(self, app: str, decision: str) -> None:
        """Mark a ranking as shown. Raises `NotFound` (`decision_unknown`)."""
        row = await self._row(app, decision)
        body = await self._open(row.person, row.body)
        if body.ranking is None:
            raise _unknown()
        shown = replace(body, ranking=replace(body.ranking, active=True))
        sealed = await self._vault.seal(row.person, "decision", msgspec.json.encode(shown))
        table = schema.decisions
        await self._database.execute(update(table).where(table.c.id == decision).values(body=sealed))

    async def _open(self, person: str, sealed: bytes) -> Decision:
        return _decode(await self._vault.open(person, "decision", sealed))

    async def _row(self, app: str, decision: str) -> Any:
        for row in await self._database.find(_OF_APP, decision=decision, app=app):
            return row
        raise _unknown()


def _unknown() -> NotFound:
    return NotFound("there is no such decision", code="decision_unknown")
