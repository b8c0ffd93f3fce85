"""The consent ledger: records every decision, and is the only place that grants come from."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from assistant.consent.grant import Grant
from assistant.consent.policy import Subject, forbidden
from assistant.consent.receipt import NOTICES, Actor, Event, Record
from assistant.emotion import Modality, Purpose
from assistant.errors import ConsentRequired, Forbidden, Invalid

Key = tuple[Modality, Purpose]
Listener = Callable[[Record], None]

_DAY_S = 86_400.0
_PEOPLE_KEPT = 100_000


class Records(Protocol):
    """Where records are kept."""

    async def append(self, record: Record) -> None:
        """Keep one record; durable when this returns."""

    async def of(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""


class Ledger:
    """Issues, revokes and recognises grants.

    A withdrawal revokes in memory first, so that no window begins after it, and is then written down. Living
    grants are found again by identity: what this ledger did not issue, or has revoked, opens nothing.
    """

    def __init__(
        self,
        records: Records,
        *,
        notice: str,
        grant_days: float,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        if notice not in NOTICES:
            raise Invalid(f"there is no notice {notice!r}; there are {sorted(NOTICES)}", code="notice_unknown")
        self.notice = notice
        self._records = records
        self._grant_s = grant_days * _DAY_S
        self._clock = clock
        self._new_id = new_id
        self._living: OrderedDict[str, dict[Key, Grant]] = OrderedDict()
        self._listeners: dict[str | None, set[Listener]] = {}
        self._unwritten: set[tuple[str, Key]] = set()
        """Withdrawals that the records don't hold yet."""
        self._lock = asyncio.Lock()

    def check(self, grant: Grant, modality: Modality) -> None:
        """Raise `ConsentRequired` unless this ledger issued `grant`, for `modality`, and it is living."""
        issued = self._living.get(grant.person or "", {}).get((grant.modality, grant.purpose))
        if issued is not grant or grant.modality != modality or grant.expires_at <= self._clock():
            raise ConsentRequired(f"there is no living grant for {modality}")

    async def grants(self, subject: Subject) -> tuple[Grant, ...]:
        """The living grants of one person, less what the context of use or their age forbids."""
        living = self._living.get(subject.person)
        if living is None:
            async with self._lock:
                living = self._living.get(subject.person)
                if living is None:
                    living = self._restore(await self._records.of(subject.person))
                    self._living[subject.person] = living
                    if len(self._living) > _PEOPLE_KEPT:
                        self._living.popitem(last=False)
        now = self._clock()
        return tuple(
            grant for grant in living.values() if grant.expires_at > now and not forbidden(subject, grant.modality)
        )

    async def decide(
        self, subject: Subject, modality: Modality, purpose: Purpose, *, granted: bool, notice: str, actor: Actor
    ) -> Record:
        """Grant or withdraw, and write it down.

        Raises `Invalid` (`notice_outdated`) when a grant answers another notice than the current one, and
        `Forbidden` with the rule's code when no consent can allow it; a refusal is recorded too.
        """
        if not granted:
            return await self._withdraw(subject, modality, purpose, actor)
        if notice != self.notice:
            raise Invalid(
                f"the current notice is version {self.notice}; show it and answer that one", code="notice_outdated"
            )
        rule = forbidden(subject, modality)
        record = self._record(subject, "refused" if rule else "granted", modality, purpose, actor)
        await self.grants(subject)  # so that the person's other grants are known
        async with self._lock:
            await self._records.append(record)
            if rule is None:
                self._living.setdefault(subject.person, {})[modality, purpose] = _grant(record)
                self._unwritten.discard((subject.person, (modality, purpose)))
        self._tell(record)
        if rule is not None:
            raise Forbidden(rule.why, code=rule.code)
        return record

    async def enforce(self, subject: Subject, actor: Actor) -> None:
        """Withdraw what the rules forbid by now, such as every grant of somebody who turns out to be a minor."""
        await self.grants(subject)
        for modality, purpose in tuple(self._living.get(subject.person, {})):
            if forbidden(subject, modality):
                await self._withdraw(subject, modality, purpose, actor)

    async def history(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""
        return await self._records.of(person)

    def listen(self, person: str | None, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of every decision about `person` (None: anybody); call the result to stop."""
        self._listeners.setdefault(person, set()).add(listener)

        def stop() -> None:
            listeners = self._listeners.get(person, set())
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(person, None)

        return stop

    def forget(self, person: str) -> None:
        """Revoke everything held in memory about one person; their records are erased by the store."""
        self._living.pop(person, None)

    async def _withdraw(self, subject: Subject, modality: Modality, purpose: Purpose, actor: Actor) -> Record:
        record = self._record(subject, "withdrawn", modality, purpose, actor)
        self._living.get(subject.person, {}).pop((modality, purpose), None)
        self._unwritten.add((subject.person, (modality, purpose)))
        self._tell(record)
        async with self._lock:
            # a load that began before may have brought the grant back
            self._living.get(subject.person, {}).pop((modality, purpose), None)
            await self._records.append(record)
            self._unwritten.discard((subject.person, (modality, purpose)))
        return record

    def _record(self, subject: Subject, event: Event, modality: Modality, purpose: Purpose, actor: Actor) -> Record:
        now = self._clock()
        return Record(
            id=self._new_id(),
            person=subject.person,
            at=now,
            event=event,
            modality=modality,
            purpose=purpose,
            notice=self.notice,
            expires_at=now + self._grant_s if event == "granted" else None,
            actor=actor,
            reason=getattr(forbidden(subject, modality), "code", None) if event == "refused" else None,
        )

    def _restore(self, records: Sequence[Record]) -> dict[Key, Grant]:
        latest = {(record.modality, record.purpose): record for record in records if record.event != "refused"}
        return {
            key: _grant(record)
            for key, record in latest.items()
            if record.event == "granted"
            and record.notice == self.notice
            and (record.person, key) not in self._unwritten
        }

    def _tell(self, record: Record) -> None:
        for whom in (None, record.person):
            for listener in tuple(self._listeners.get(whom, ())):
                listener(record)


def _grant(record: Record) -> Grant:
    assert record.expires_at is not None
    return Grant("person", record.person, record.modality, record.purpose, record.notice, record.expires_at)
