"""People's consent in memory: the state that their records lead to, and the grants that are issued from it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from assistant.consent.grant import _ISSUING, Grant
from assistant.consent.receipt import Record
from assistant.emotion import Modality, Purpose
from assistant.errors import ConsentRequired

Key = tuple[Modality, Purpose]


@dataclass(slots=True)
class Standing:
    """State of a person's consent; `apply` updates it record by record."""

    granted: dict[Key, Record] = field(default_factory=dict)
    """The record of each grant that was not withdrawn; some may have expired."""
    restricted: bool = False
    """Their data is stored but not used."""
    objected: bool = False
    """They objected to profiling for content."""
    erased: bool = False
    seq: int = 0
    """`seq` of the newest record that was applied."""

    def apply(self, record: Record) -> None:
        """Apply the next record. `refused` and `expired` change nothing: a grant has its own expiry."""
        self.seq = max(self.seq, record.seq)
        match record.event:
            case "granted":
                self.granted[key_of(record)] = record
            case "withdrawn":
                self.granted.pop(key_of(record), None)
            case "restricted" | "unrestricted":
                self.restricted = record.event == "restricted"
            case "objected" | "unobjected":
                self.objected = record.event == "objected"
            case "erased":
                self.granted.clear()
                self.restricted = self.objected = False
                self.erased = True

    def allows(self, purpose: Purpose) -> bool:
        """Whether a grant for `purpose` may be used now."""
        return not (self.restricted or self.erased or (self.objected and purpose == "content"))


def standing_from(records: Iterable[Record]) -> Standing:
    """The state after these records of one person, oldest first.

    >>> from assistant.consent.receipt import Actor
    >>> def record(event):
    ...     return Record("r", "p", 0.0, event, "voice", "tone", "1", 9.0, Actor("app", "api"))
    >>> list(standing_from([record("granted"), record("refused")]).granted)
    [('voice', 'tone')]
    >>> list(standing_from([record("granted"), record("withdrawn")]).granted)
    []
    """
    whole = Standing()
    for record in records:
        whole.apply(record)
    return whole


def key_of(record: Record) -> Key:
    """The modality and purpose that a decision is about."""
    assert record.modality is not None
    assert record.purpose is not None
    return record.modality, record.purpose


_PEOPLE_KEPT = 100_000


@dataclass(slots=True)
class PersonConsent:
    """The consent of one person in memory."""

    standing: Standing = field(default_factory=Standing)
    issued: dict[Key, Grant] = field(default_factory=dict)
    """Grants from the records that were not withdrawn; some may have expired."""


class Register:
    """People and their grants, read from the records when they are first asked for.

    Records come from this process (`apply_own`) and from others (`apply_followed`), each in the ledger's order; but
    the two may cross. The records of a person where they crossed are read again.
    """

    def __init__(self, read: Callable[[str], Awaitable[list[Record]]], notice: str) -> None:
        self._read, self._notice = read, notice
        self._held: OrderedDict[str, PersonConsent] = OrderedDict()
        self._unwritten: dict[tuple[str, Key], Record] = {}
        """Withdrawals that are not stored yet."""
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._loading: dict[str, int] = {}
        """People whose records are being read, with the newest `seq` that the feed brought meanwhile."""
        self.trusted = True
        """Whether memory is complete; otherwise the records are read each time."""

    def check(self, grant: Grant, modality: Modality, now: float) -> None:
        """Raise `ConsentRequired` unless `grant` was issued here, for `modality`, and is still valid."""
        held = self._held.get(grant.person or "")
        if (
            held is None
            or held.issued.get((grant.modality, grant.purpose)) is not grant
            or not held.standing.allows(grant.purpose)
            or grant.modality != modality
            or grant.expires_at <= now
        ):
            raise ConsentRequired(f"there is no valid grant for {modality}")

    def lock(self, person: str) -> asyncio.Lock:
        """The lock under which this person's records are read or changed."""
        return self._turns.setdefault(person, asyncio.Lock())

    async def consent_of(self, person: str) -> PersonConsent:
        """The consent of a person, read from the records if needed."""
        held = self._held.get(person)
        if held is not None and self.trusted:
            return held
        async with self.lock(person):
            return await self.load(person)

    async def load(self, person: str) -> PersonConsent:
        """The same, for a caller that holds the person's lock."""
        held = self._held.get(person)
        if held is not None and self.trusted:
            return held
        while True:
            self._loading[person] = 0
            try:
                fresh = PersonConsent(standing_from(await self._read(person)))
            finally:
                heard = self._loading.pop(person)
            if heard <= fresh.standing.seq:
                break
        if (old := self._held.get(person)) is not None:  # so that a grant in use stays good
            fresh.issued = old.issued
        self._issue(fresh)
        self._held[person] = fresh
        if len(self._held) > _PEOPLE_KEPT:
            self._held.popitem(last=False)
        return fresh

    def apply_own(self, kept: Record) -> None:
        """Apply a record that this process stored."""
        held = self._held.get(kept.person)
        if held is not None and kept.seq < held.standing.seq:  # another process came after us and was heard first
            self.forget(kept.person)
        else:
            self.apply_early(kept)

    def apply_early(self, record: Record) -> None:
        """Apply a record before it is stored, so that what it takes away counts at once."""
        held = self._held.get(record.person)
        if held is not None:
            held.standing.apply(record)
            self._issue(held)

    def apply_followed(self, record: Record, *, own: bool) -> None:
        """Apply a record from the feed, unless it is this process's `own`, which is applied already."""
        if record.person in self._loading:
            self._loading[record.person] = record.seq
        if own:
            return
        if record.event == "granted":
            missed = self.withdrawal(record)
            if missed is not None and missed.at < record.at:
                self.settle(missed)
        held = self._held.get(record.person)
        if held is not None and held.standing.seq < record.seq:
            self.apply_early(record)

    def withdrawal(self, record: Record) -> Record | None:
        """The withdrawal of the same purpose that is not stored yet, if there is one."""
        return self._unwritten.get((record.person, key_of(record)))

    def withdraw(self, record: Record) -> None:
        """Apply a withdrawal that is not stored yet; it counts until `settle`."""
        self._unwritten[record.person, key_of(record)] = record
        self.apply_early(record)

    def settle(self, withdrawal: Record) -> None:
        """Forget a withdrawal that is stored now, or that a later grant replaced; a newer withdrawal stays."""
        if self.withdrawal(withdrawal) is withdrawal:
            del self._unwritten[withdrawal.person, key_of(withdrawal)]

    def drop_grant(self, grant: Record) -> None:
        """Remove a grant that expired."""
        held = self._held.get(grant.person)
        if held is not None and held.standing.granted.get(key_of(grant)) == grant:
            del held.standing.granted[key_of(grant)]
            self._issue(held)

    def forget(self, person: str) -> None:
        """Remove one person from memory."""
        self._held.pop(person, None)

    def clear(self) -> None:
        """Remove everybody from memory."""
        self._held.clear()

    def _issue(self, held: PersonConsent) -> None:
        """Match the grants to the records: keep those that are still valid, and issue the others."""
        issued: dict[Key, Grant] = {}
        for key, record in held.standing.granted.items():
            if record.notice == self._notice and (record.person, key) not in self._unwritten:
                old = held.issued.get(key)
                issued[key] = old if old is not None and old.record == record.id else _grant(record)
        held.issued = issued


def _grant(record: Record) -> Grant:
    assert record.expires_at is not None
    modality, purpose = key_of(record)
    until, notice = record.expires_at, record.notice or ""
    return Grant("person", record.person, modality, purpose, notice, until, record.id, issuing=_ISSUING)
