"""The consent ledger: records every decision, and is the only place that grants come from."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from assistant.consent.changes import SILENCE_S, Changes, follow
from assistant.consent.grant import Grant
from assistant.consent.policy import Subject, excuse, forbidden
from assistant.consent.receipt import NOTICES, Actor, Event, Record
from assistant.consent.register import Held, Register
from assistant.consent.standing import Standing
from assistant.emotion import Modality, Purpose
from assistant.errors import Forbidden, Invalid, Unavailable

log = logging.getLogger(__name__)

Listener = Callable[[Record], None]

_DAY_S = 86_400.0
_SWEPT = 500
"""Grants that one look for expired ones takes."""
_CLOCK = Actor("clock", "expiry")
_UNTOLD: frozenset[Event] = frozenset({"notice_shown", "notice_acknowledged", "excepted"})
"""Events that change nothing for anybody who listens."""


class Records(Protocol):
    """Where records are kept."""

    async def append(self, record: Record) -> Record:
        """Keep one record, durable when this returns; with its place and its hash.

        An `expired` record that is there already is not written again.
        """

    async def of(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""

    async def last(self) -> int:
        """The place of the newest record; 0 where there is none."""

    async def expired(self, now: float, limit: int) -> list[Record]:
        """Grants that ran out and were neither replaced nor withdrawn nor called expired yet."""


class Ledger:
    """Issues, revokes and recognises grants.

    A withdrawal revokes in memory first, so that no window begins after it, and is then written down. Living
    grants are found again by identity: what this ledger did not issue, or has revoked, opens nothing.

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
        self._new_id = new_id
        self._register = Register(self.history, notice)
        self._listeners: dict[str | None, set[Listener]] = {}
        self._follows = False
        self._own: set[str] = set()
        """Records of this process that the feed has yet to bring back."""

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
        now = self._clock()
        refusal = _refusal(subject, modality, actor, now)
        pardon = excuse(subject, modality, now)
        if pardon is not None and refusal is None:
            await self.note(subject.person, "excepted", actor, app=subject.app, modality=modality, reason=pardon.id)
        record = self._record(
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
            kept = await self._keep(record)
            if refusal is None and earlier is not None:
                self._register.settle(earlier)
            self._register.take(kept)
        self._tell(kept)
        if refusal is not None:
            raise refusal
        return kept

    async def note(
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
        record = self._record(
            person, event, actor, app=app, modality=modality, purpose=purpose, notice=notice, reason=reason
        )
        early = event in ("erased", "restricted", "objected")
        if early:
            self._register.anticipate(record)
            self._tell(record)
        async with self._register.turn(person):
            kept = await self._keep(record)
            self._register.take(kept)
        if not early:
            self._tell(kept)
        return kept

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

    async def history(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""
        return await self._records.of(person)

    def listen(self, person: str | None, listener: Listener) -> Callable[[], None]:
        """Tell `listener` of all that changes what `person` (None: anybody) allows; call the result to stop."""
        self._listeners.setdefault(person, set()).add(listener)

        def stop() -> None:
            listeners = self._listeners.get(person, set())
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(person, None)

        return stop

    def forget(self, person: str) -> None:
        """Let go of everything that is held in memory about one person; their grants open nothing any more."""
        self._register.forget(person)

    @property
    def trusted(self) -> bool:
        """Whether the feed of changes works, so that memory counts; always so where none is followed."""
        return self._register.trusted

    @asynccontextmanager
    async def following(self, changes: Changes, silence_s: float = SILENCE_S) -> AsyncIterator[None]:
        """Let the records of other processes count here, too. A feed that says nothing for so long is broken."""
        self._follows, self._register.trusted = True, False
        work = follow(
            changes,
            self._records.last,
            begin=self._register.clear,  # what was read before may have changed since
            hear=self._hear,
            caught_up=self._caught_up,
            broke=self._broke,
            silence_s=silence_s,
        )
        task = asyncio.create_task(work)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._follows = False

    def _hear(self, record: Record) -> None:
        """Let a record of any process count here."""
        own = record.id in self._own
        self._own.discard(record.id)
        self._register.hear(record, own=own)
        if not own:
            self._tell(record)

    def _caught_up(self) -> None:
        self._register.trusted = True

    def _broke(self, error: Exception) -> None:
        if self._register.trusted:
            log.error("the feed of consent changes broke (%s); reading the records", type(error).__name__)
            self._register.trusted = False
            self._register.clear()

    async def _withdraw(self, subject: Subject, modality: Modality, purpose: Purpose, actor: Actor) -> Record:
        record = self._record(
            subject.person,
            "withdrawn",
            actor,
            app=subject.app,
            modality=modality,
            purpose=purpose,
            notice=self.notice,
        )
        self._register.withdraw(record)
        self._tell(record)
        async with self._register.turn(subject.person):
            kept = await self._keep(record)
            self._register.take(kept)
            self._register.settle(record)
        return kept

    async def _note_expired(self, held: Held, now: float) -> None:
        over = [grant for grant in held.issued.values() if grant.expires_at <= now]
        for grant in over:
            record = held.standing.granted.get((grant.modality, grant.purpose))
            if record is not None and record.id == grant.record:
                try:
                    await self._expire(record)
                except Unavailable:  # the sweep will see it; the grant opens nothing in any case
                    return

    async def _expire(self, grant: Record) -> Record:
        """Write down that a grant ran out; every process would write the same record, and it is kept once."""
        self._register.end(grant)
        name = hashlib.sha256(f"expired {grant.id}".encode()).hexdigest()[:24]
        record = self._record(
            grant.person,
            "expired",
            _CLOCK,
            app=grant.app,
            modality=grant.modality,
            purpose=grant.purpose,
            notice=grant.notice,
            reason=grant.id,
            name=name,
        )
        kept = await self._keep(record)
        if not self._follows:
            self._tell(kept)
        return kept

    async def _keep(self, record: Record) -> Record:
        if self._follows and record.event != "expired":  # that may be another process's: the feed tells it
            self._own.add(record.id)
        try:
            return await self._records.append(record)
        except BaseException:  # where it is written all the same, the feed will tell
            self._own.discard(record.id)
            raise

    def _record(
        self,
        person: str,
        event: Event,
        actor: Actor,
        *,
        app: str,
        modality: Modality | None = None,
        purpose: Purpose | None = None,
        notice: str | None = None,
        expires_at: float | None = None,
        reason: str | None = None,
        name: str | None = None,
    ) -> Record:
        return Record(
            id=self._new_id() if name is None else name,
            person=person,
            at=self._clock(),
            event=event,
            modality=modality,
            purpose=purpose,
            notice=notice,
            expires_at=expires_at,
            actor=actor,
            reason=reason,
            app=app,
        )

    def _tell(self, record: Record) -> None:
        if record.event in _UNTOLD:
            return
        for whom in (None, record.person):
            for listener in tuple(self._listeners.get(whom, ())):
                listener(record)


def _refusal(subject: Subject, modality: Modality, actor: Actor, now: float) -> Forbidden | None:
    """Why this grant can't be given, if it can't."""
    rule = forbidden(subject, modality, now)
    if rule is not None:
        return Forbidden(rule.why, code=rule.code)
    if subject.require_person and actor.kind != "person":
        return Forbidden("here only the person themself can grant, with their own token", code="person_required")
    return None
