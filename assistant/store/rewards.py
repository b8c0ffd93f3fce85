"""The append-only log of rewards, and snapshots of what was learned from it. What is about a person is sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import bindparam, func, insert, select, update

from assistant.errors import NotFound
from assistant.recommend.feedback import Reward
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.group_commit import GroupCommit
from assistant.store.keys import Vault
from assistant.store.point_reads import PointRead
from assistant.store.row_inserts import RowInsert

_rewards, _learned = schema.rewards, schema.learned

_INSERT = RowInsert(_rewards, once=("app", "decision", "key"))
_OF_PERSON = PointRead(
    select(_rewards.c.number, _rewards.c.body)
    .where(_rewards.c.person == bindparam("person"), _rewards.c.number > bindparam("number"))
    .order_by(_rewards.c.number.desc())
    .limit(bindparam("most"))
)
_FEW = 16
"""Rewards that are opened in less time than it takes to hand them to another thread."""
_BATCH = 1_000
"""Rewards in one query."""
_NUMBERING = 0x72657764
"""The advisory lock under which rewards are numbered: no reader sees a number before all lower ones."""


class Rewards:
    """The log of rewards of all apps; `recommend.feedback.RewardLog`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database, self._vault = database, vault
        self._writes = GroupCommit(self._write)

    async def add(self, app: str, person: str, decision: str, key: str, reward: Reward) -> bool:
        """Store one reward; durable when this returns. False where one with this `key` is stored already."""
        body = await self._vault.seal(person, "reward", msgspec.json.encode(reward))
        row = {"app": app, "person": person, "decision": decision, "key": key, "at": reward.at, "body": body}
        return await self._writes.write(row | {"felt": reward != reward.blind})

    async def _write(self, rows: Sequence[dict[str, Any]]) -> Sequence[bool]:
        """Store the rows whose key is new; returns for each whether it was."""
        return await self._database.insert(_INSERT, rows, turn=_NUMBERING)

    async def close(self) -> None:
        """Wait until everything is written."""
        await self._writes.close()

    async def after(self, app: str, number: int) -> tuple[int, list[Reward]]:
        """The number of the log's last reward, and the rewards after `number`, in order.

        Rewards of people who were erased are left out: they are gone, or can't be read any more.
        """
        found: list[Reward] = []
        while batch := await self._batch(app, number):
            for row in batch:
                number = row.number
                try:
                    opened = await self._vault.open(row.person, "reward", row.body)
                except NotFound:
                    continue
                found.append(msgspec.json.decode(opened, type=Reward))
        return number, found

    async def of_person(self, person: str, number: int, most: int) -> tuple[int, list[Reward]]:
        """The number of the last, and a person's newest rewards after `number`, at most `most`, in order.

        None where the person was erased.
        """
        rows = await self._database.find(_OF_PERSON, person=person, number=number, most=most)
        if not rows:
            return number, []
        try:
            opened = await self._vault.opener(person)
        except NotFound:
            return number, []

        def read() -> list[Reward]:
            return [msgspec.json.decode(opened("reward", row.body), type=Reward) for row in reversed(rows)]

        return rows[0].number, await asyncio.to_thread(read) if len(rows) > _FEW else read()

    async def _batch(self, app: str, number: int) -> Sequence[Any]:
        query = select(_rewards.c.number, _rewards.c.person, _rewards.c.body)
        query = query.where(_rewards.c.app == app, _rewards.c.number > number).order_by(_rewards.c.number)
        return await self._database.rows(query.limit(_BATCH))

    async def snapshot(self, app: str) -> tuple[int, bytes] | None:
        """The number of the last reward in the stored state, and that state; None where none is stored."""
        query = select(_learned.c.number, _learned.c.state).where(_learned.c.app == app)
        row = await self._database.row(query)
        return None if row is None else (row.number, row.state)

    async def keep(self, app: str, number: int, state: bytes) -> None:
        """Store a state, unless a newer one is stored already."""
        newer = update(_learned).where(_learned.c.app == app, _learned.c.number < number)
        known = select(func.count()).select_from(_learned).where(_learned.c.app == app)
        async with self._database.write() as connection:
            if await connection.scalar(known):
                await connection.execute(newer.values(number=number, state=state))
            else:
                await connection.execute(insert(_learned).values(app=app, number=number, state=state))

    async def forget_mood(self, person: str) -> None:
        """Remove the mood from every stored reward of a person, who does not let it be remembered any more."""
        query = select(_rewards.c.number, _rewards.c.body).where(_rewards.c.person == person, _rewards.c.felt)
        for row in await self._database.rows(query):
            try:
                opened = await self._vault.open(person, "reward", row.body)
            except NotFound:  # erased meanwhile
                return
            reward = msgspec.json.decode(opened, type=Reward)
            sealed = await self._vault.seal(person, "reward", msgspec.json.encode(reward.blind))
            blind = update(_rewards).where(_rewards.c.number == row.number).values(body=sealed, felt=False)
            await self._database.execute(blind)
