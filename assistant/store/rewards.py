"""Acknowledged rewards, append-only, and what has been learned from them. What is about a person is sealed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, insert, select, tuple_, update

from assistant.errors import NotFound
from assistant.recommend.feedback import Outcome
from assistant.store import schema
from assistant.store.database import Database
from assistant.store.group_commit import GroupCommit
from assistant.store.keys.vault import Vault

_rewards, _learned = schema.rewards, schema.learned

_BATCH = 1_000
"""Rewards read at a time."""
_NUMBERING = 0x72657764
"""Lock under which rewards are numbered, so that no reader sees a later number before an earlier one."""


class Rewards:
    """The log of rewards of all apps; `recommend.feedback.RewardLog`."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._writes = GroupCommit(self._write)

    async def add(self, app: str, person: str, decision: str, key: str, outcome: Outcome) -> bool:
        """Keep one; durable when this returns. False where this `key` was kept before: it counts once."""
        body = await self._vault.seal(person, "reward", msgspec.json.encode(outcome))
        row = {"app": app, "person": person, "decision": decision, "key": key, "at": outcome.at, "body": body}
        return await self._writes.add(row | {"felt": outcome != outcome.blind})

    async def _write(self, rows: Sequence[dict[str, Any]]) -> list[bool]:
        """Keep those whose key is new; which of them were."""
        async with self._database.write() as connection:
            await self._database.take_turns(connection, _NUMBERING)
            keys = tuple_(_rewards.c.app, _rewards.c.decision, _rewards.c.key)
            known = select(_rewards.c.app, _rewards.c.decision, _rewards.c.key)
            found = await connection.execute(known.where(keys.in_([_key(row) for row in rows])))
            seen = {tuple(row) for row in found}
            new = []
            for row in rows:
                new.append(_key(row) not in seen)
                seen.add(_key(row))
            fresh = [row for row, is_new in zip(rows, new, strict=True) if is_new]
            if fresh:
                await connection.execute(insert(_rewards), fresh)
        return new

    async def close(self) -> None:
        """Wait until everything is written."""
        await self._writes.close()

    async def after(self, app: str, number: int) -> tuple[int, list[Outcome]]:
        """The rewards after the `number`th of the log, in order, and the number of the last.

        Those of people who were erased meanwhile are gone, or can't be read any more: they are left out.
        """
        number, found = await self._after(app, number)
        return number, [outcome for _, outcome in found]

    async def of_person(self, person: str, number: int, most: int) -> tuple[int, list[Outcome]]:
        """The last number, and a person's newest rewards after the `number`th, `most` at most, in order.

        Nothing of who was erased.
        """
        query = select(_rewards.c.number, _rewards.c.body)
        query = query.where(_rewards.c.person == person, _rewards.c.number > number)
        query = query.order_by(_rewards.c.number.desc()).limit(most)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        if not rows:
            return number, []
        try:
            opened = await self._vault.opener(person)
        except NotFound:
            return number, []

        def read() -> list[Outcome]:
            return [msgspec.json.decode(opened("reward", row.body), type=Outcome) for row in reversed(rows)]

        return rows[0].number, await asyncio.to_thread(read)

    async def _after(self, app: str, number: int) -> tuple[int, list[tuple[str, Outcome]]]:
        found: list[tuple[str, Outcome]] = []
        while batch := await self._batch(app, number):
            for row in batch:
                number = row.number
                try:
                    opened = await self._vault.open(row.person, "reward", row.body)
                except NotFound:
                    continue
                found.append((row.person, msgspec.json.decode(opened, type=Outcome)))
        return number, found

    async def _batch(self, app: str, number: int) -> list[Any]:
        query = select(_rewards.c.number, _rewards.c.person, _rewards.c.body)
        query = query.where(_rewards.c.app == app, _rewards.c.number > number).order_by(_rewards.c.number)
        async with self._database.read() as connection:
            return list((await connection.execute(query.limit(_BATCH))).all())

    async def snapshot(self, app: str) -> tuple[int, bytes] | None:
        """The newest kept state and the number of the last reward in it."""
        query = select(_learned.c.number, _learned.c.state).where(_learned.c.app == app)
        async with self._database.read() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else (row.number, row.state)

    async def keep(self, app: str, number: int, state: bytes) -> None:
        """Keep a state; an older one than is there changes nothing."""
        newer = update(_learned).where(_learned.c.app == app, _learned.c.number < number)
        known = select(func.count()).select_from(_learned).where(_learned.c.app == app)
        async with self._database.write() as connection:
            if await connection.scalar(known):
                await connection.execute(newer.values(number=number, state=state))
            else:
                await connection.execute(insert(_learned).values(app=app, number=number, state=state))

    async def forget_mood(self, person: str) -> None:
        """Make every kept reward of a person blind: they don't let their mood be remembered any more."""
        query = select(_rewards.c.number, _rewards.c.body).where(_rewards.c.person == person, _rewards.c.felt)
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).all()
        for row in rows:
            try:
                opened = await self._vault.open(person, "reward", row.body)
            except NotFound:  # erased meanwhile
                return
            outcome = msgspec.json.decode(opened, type=Outcome)
            sealed = await self._vault.seal(person, "reward", msgspec.json.encode(outcome.blind))
            blind = update(_rewards).where(_rewards.c.number == row.number).values(body=sealed, felt=False)
            async with self._database.write() as connection:
                await connection.execute(blind)


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["app"], row["decision"], row["key"]
