"""The consent ledger: records every decision, and is the only place that grants come from."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from assistant.consent.changes import SILENCE_S, Changes, Follower
from assistant.consent.grant import Grant
from assistant.consent.listeners import Listener, Listeners
from assistant.consent.policy import Subject, forbidden, needed_exemption
from assistant.consent.receipt import NOTICES, Actor, Event, Record
from assistant.consent.records import Records, RecordWriter
from assistant.consent.register import Held, Register
from assistant.consent.standing import Standing
from assistant.emotion import Modality, Purpose
from assistant.errors import Forbidden, Invalid, Unavailable

_DAY_S = 86_400.0
_SWEPT = 500
"""Grants that one look for expired ones takes."""
_CLOCK = Actor("clock", "expiry")
_COUNTS_EARLY: frozenset[Event] = frozenset({"erased", "restricted", "objected"})
"""Events that take something away."""


class Ledger:
    """Issues, revokes and recognises grants.

    A withdrawal revokes in memory first, so that no window begins after it, and is then written down. Living
    grants are recognised by identity: what this ledger did not issue, or has revoked, opens nothing.

    While it is `following` a feed of changes, what other processes wrote counts here at once. When the feed is
    silent or breaks, nothing that was held in memory counts any more, and the records are read each time.
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
        self._register = Register(records.history, notice)
        self._writer = RecordWriter(records, clock, new_id)
        self._listeners = Listeners()
        self._follower = Follower(records, self._register, self._writer, self._listeners)

    def check(self, grant: Grant, modality: Modality) -> None:
        """Raise `ConsentRequired` unless this ledger issued `grant`, for `modality`, and it is living."""
        self._register.check(grant, modality, self._clock())

    async def grants(self, subject: Subject) -> tuple[Grant, ...]:
        """The living grants of one person, less what the context of use, their age or their rights forbid."""
        held = await self._register.known(subject.person)
        now = self._clock()
        await self._note_expired(held, now)
        return tuple(
            grant
            for grant in held.issued.values()
            if grant.expires_at > now
            and held.standing.allows(grant.purpose)
            and not forbidden(subject, grant.modality, now)
        )

    async def standing(self, person: str) -> Standing:
        """Whether a person restricted, objected or was erased."""
        return (await self._register.known(person)).standing

    async def history(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""
        return await self._records.history(person)

    async def decide(
        self, subject: Subject, modality: Modality, purpose: Purpose, *, granted: bool, notice: str, actor: Actor
    ) -> Record:
        """Grant or withdraw, and write it down.

        Raises `Invalid` (`notice_outdated`) when a grant answers another notice than the current one, and
        `Forbidden` with the rule's code when no consent can allow it, or with `person_required` where only the
        person themself may grant; a refusal is recorded too.
        """
        if not granted:
            return await self._withdraw(subject, modality, purpose, actor)
        if notice != self.notice:
            raise Invalid(
                f"the current notice is version {self.notice}; show it and answer that one", code="notice_outdated"
            )
        return await self._grant(subject, modality, purpose, actor)

    async def record_event(
        self,
        person: str,
        event: Event,
        actor: Actor,
        *,
        app: str,
        modality: Modality | None = None,
        purpose: Purpose | None = None,
        notice: str | None = None,
        reason: str | None = None,
    ) -> Record:
        """Write down something else that happened, and act on it.

        What takes something away (`erased`, `restricted`, `objected`) counts before it is written.
        """
        record = self._writer.make(
            person, event, actor, app=app, modality=modality, purpose=purpose, notice=notice, reason=reason
        )
        early = event in _COUNTS_EARLY
        if early:
            self._register.anticipate(record)
            self._listeners.notify(record)
        async with self._register.turn(person):
            stored = await self._writer.store(record)
            self._register.apply_own(stored)
        if not early:
            self._listeners.notify(stored)
        return stored

    async def enforce(self, subject: Subject, actor: Actor) -> None:
        """Withdraw what the rules forbid by now, such as every grant of somebody who turns out to be a minor."""
        held = await self._register.known(subject.person)
        for modality, purpose in tuple(held.issued):
            if forbidden(subject, modality, self._clock()):
                await self._withdraw(subject, modality, purpose, actor)

    async def expire(self) -> list[Record]:
        """Write down, once, which grants have run out, and give these records."""
        done: list[Record] = []
        while due := await self._records.expired(self._clock(), _SWEPT):
            done += await asyncio.gather(*(self._expire(grant) for grant in due))
        return done

    def listen(self, person: str | None, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every record that changes what `person` (None: anybody) allows.

        Call the result to stop.
        """
        return self._listeners.subscribe(person, listener)

    def forget(self, person: str) -> None:
        """Drop everything that memory holds about one person; their grants open nothing any more."""
        self._register.forget(person)

    @property
    def trusted(self) -> bool:
        """Whether the feed of changes works, so that memory counts; always so where none is followed."""
        return self._register.trusted

    def following(self, changes: Changes, silence_s: float = SILENCE_S) -> AbstractAsyncContextManager[None]:
        """Let the records of other processes count here, too. A feed that says nothing for so long is broken."""
        return self._follower.following(changes, silence_s)

    async def _grant(self, subject: Subject, modality: Modality, purpose: Purpose, actor: Actor) -> Record:
        now = self._clock()
        refusal = _refusal(subject, modality, actor, now)
        exemption = needed_exemption(subject, modality, now)
        if exemption is not None and refusal is None:
            await self.record_event(
                subject.person, "excepted", actor, app=subject.app, modality=modality, reason=exemption.id
            )
        record = self._writer.make(
            subject.person,
            "granted" if refusal is None else "refused",
            actor,
            app=subject.app,
            modality=modality,
            purpose=purpose,
            notice=self.notice,
            expires_at=now + self._grant_s if refusal is None else None,
            reason=None if refusal is None else refusal.code,
        )
        async with self._register.turn(subject.person):
            await self._register.load(subject.person)  # so that the person's other grants are known
            earlier = self._register.withdrawal(record)
            stored = await self._writer.store(record)
            if refusal is None and earlier is not None:
                self._register.settle(earlier)
            self._register.apply_own(stored)
        self._listeners.notify(stored)
        if refusal is not None:
            raise refusal
        return stored

    async def _withdraw(self, subject: Subject, modality: Modality, purpose: Purpose, actor: Actor) -> Record:
        record = self._writer.make(
            subject.person,
            "withdrawn",
            actor,
            app=subject.app,
            modality=modality,
            purpose=purpose,
            notice=self.notice,
        )
        self._register.withdraw(record)
        self._listeners.notify(record)
        async with self._register.turn(subject.person):
            stored = await self._writer.store(record)
            self._register.apply_own(stored)
            self._register.settle(record)
        return stored

    async def _note_expired(self, held: Held, now: float) -> None:
        for grant in [grant for grant in held.issued.values() if grant.expires_at <= now]:
            record = held.standing.granted.get((grant.modality, grant.purpose))
            if record is not None and record.id == grant.record:
                try:
                    await self._expire(record)
                except Unavailable:  # the sweep will see it; the grant opens nothing in any case
                    return

    async def _expire(self, grant: Record) -> Record:
        """Write down that a grant ran out; every process would write the same record, and it is stored once."""
        self._register.drop_grant(grant)
        record = self._writer.make(
            grant.person,
            "expired",
            _CLOCK,
            app=grant.app,
            modality=grant.modality,
            purpose=grant.purpose,
            notice=grant.notice,
            reason=grant.id,
            id=hashlib.sha256(f"expired {grant.id}".encode()).hexdigest()[:24],
        )
        stored = await self._writer.store(record)
        if not self._writer.followed:
            self._listeners.notify(stored)
        return stored


def _refusal(subject: Subject, modality: Modality, actor: Actor, now: float) -> Forbidden | None:
    """Why this grant can't be given, if it can't."""
    rule = forbidden(subject, modality, now)
    if rule is not None:
        return Forbidden(rule.why, code=rule.code)
    if subject.require_person and actor.kind != "person":
        return Forbidden("here only the person themself can grant, with their own token", code="person_required")
    return None
