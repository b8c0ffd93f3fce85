"""The consent ledger: it records every decision and is the only source of grants."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from assistant.consent.changes import SILENCE_S, Changes, Follower, Listener, Listeners
from assistant.consent.grant import Grant
from assistant.consent.legal_rules import Subject, find_needed_exemption, find_prohibition
from assistant.consent.receipt import NOTICES, Actor, Event, Record
from assistant.consent.records import Records, RecordWriter
from assistant.consent.register import PersonConsent, Register, Standing
from assistant.emotion import Modality, Purpose
from assistant.errors import Forbidden, Invalid, Unavailable

_DAY_S = 86_400.0
_SWEPT = 500
"""Most expired grants that one query returns."""
_CLOCK = Actor("clock", "expiry")
_COUNTS_EARLY: frozenset[Event] = frozenset({"erased", "restricted", "objected"})
"""Events that take something away: they count before they are stored."""


class Ledger:
    """Issues, revokes and checks grants.

    A withdrawal first revokes the grant in memory, so that no window starts after it, and is then stored. Grants
    are recognised by identity: a grant that this ledger did not issue, or has revoked, is not valid.

    While it is `following` a feed of changes, the records of other processes count here at once. When the feed is
    silent or breaks, grants in memory no longer count, and the records are read from the database each time.
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
            raise Invalid(
                f"there is no notice {notice!r}; the versions are {sorted(NOTICES)}", code="notice_unknown"
            )
        self.notice = notice
        self._records, self._clock = records, clock
        self._grant_s = grant_days * _DAY_S
        self._register = Register(records.history, notice)
        self._writer = RecordWriter(records, clock, new_id)
        self._listeners = Listeners()
        self._follower = Follower(records, self._register, self._writer, self._listeners)

    def check(self, grant: Grant, modality: Modality) -> None:
        """Raise `ConsentRequired` unless this ledger issued `grant`, for `modality`, and it is still valid."""
        self._register.check(grant, modality, self._clock())

    async def grants(self, subject: Subject) -> tuple[Grant, ...]:
        """The valid grants of one person, without those that the context of use, age or rights forbid."""
        held = await self._register.consent_of(subject.person)
        now = self._clock()
        await self._note_expired(held, now)
        return tuple(
            grant
            for grant in held.issued.values()
            if grant.expires_at > now
            and held.standing.allows(grant.purpose)
            and not find_prohibition(subject, grant.modality, now)
        )

    async def standing(self, person: str) -> Standing:
        """Whether a person restricted the use of their data, objected to profiling, or was erased."""
        return (await self._register.consent_of(person)).standing

    async def history(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""
        return await self._records.history(person)

    async def decide(
        self, subject: Subject, modality: Modality, purpose: Purpose, *, granted: bool, notice: str, actor: Actor
    ) -> Record:
        """Grant or withdraw, and record it.

        Raises `Invalid` (`notice_outdated`) if a grant answers a notice that is not the current one, and
        `Forbidden` with the rule's code if no consent can allow it, or with `person_required` if only the person
        may grant. A refusal is recorded too.
        """
        if not granted:
            return await self._withdraw(subject, modality, purpose, actor)
        if notice != self.notice:
            raise Invalid(
                f"the current notice is version {self.notice}; show it to the person and send that version",
                code="notice_outdated",
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
        """Record another event, and act on it.

        Events that take something away (`erased`, `restricted`, `objected`) count before they are stored.
        """
        record = self._writer.make(
            person, event, actor, app=app, modality=modality, purpose=purpose, notice=notice, reason=reason
        )
        early = event in _COUNTS_EARLY
        if early:
            self._register.apply_early(record)
            self._listeners.notify(record)
        async with self._register.lock(person):
            stored = await self._writer.store(record)
            self._register.apply_own(stored)
        if not early:
            self._listeners.notify(stored)
        return stored

    async def enforce(self, subject: Subject, actor: Actor) -> None:
        """Withdraw grants that the rules now forbid, such as every grant of somebody who is in fact a minor."""
        held = await self._register.consent_of(subject.person)
        for modality, purpose in tuple(held.issued):
            if find_prohibition(subject, modality, self._clock()):
                await self._withdraw(subject, modality, purpose, actor)

    async def expire(self) -> list[Record]:
        """Record, once for each, the grants that have expired; returns these records."""
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
        """Remove one person from memory; their grants are no longer valid."""
        self._register.forget(person)

    @property
    def trusted(self) -> bool:
        """Whether the feed of changes works, so that memory counts; always true if none is followed."""
        return self._register.trusted

    def following(self, changes: Changes, silence_s: float = SILENCE_S) -> AbstractAsyncContextManager[None]:
        """Apply the records of other processes, too. A feed that is silent for `silence_s` seconds is broken."""
        return self._follower.following(changes, silence_s)

    async def _grant(self, subject: Subject, modality: Modality, purpose: Purpose, actor: Actor) -> Record:
        now = self._clock()
        refusal = _refusal(subject, modality, actor, now)
        exemption = find_needed_exemption(subject, modality, now)
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
        async with self._register.lock(subject.person):
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
        app, notice = subject.app, self.notice
        record = self._writer.make(
            subject.person, "withdrawn", actor, app=app, modality=modality, purpose=purpose, notice=notice
        )
        self._register.withdraw(record)
        self._listeners.notify(record)
        async with self._register.lock(subject.person):
            stored = await self._writer.store(record)
            self._register.apply_own(stored)
            self._register.settle(record)
        return stored

    async def _note_expired(self, held: PersonConsent, now: float) -> None:
        for grant in [grant for grant in held.issued.values() if grant.expires_at <= now]:
            record = held.standing.granted.get((grant.modality, grant.purpose))
            if record is not None and record.id == grant.record:
                try:
                    await self._expire(record)
                except Unavailable:  # the next sweep records it; the grant is not valid in any case
                    return

    async def _expire(self, grant: Record) -> Record:
        """Record that a grant expired; every process would write the same record, and it is stored once."""
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
    """The error for a grant that is not allowed; None if it is allowed."""
    rule = find_prohibition(subject, modality, now)
    if rule is not None:
        return Forbidden(rule.why, code=rule.code)
    if subject.require_person and actor.kind != "person":
        return Forbidden("in this app only the person can grant, with their own token", code="person_required")
    return None
