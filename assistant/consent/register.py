"""What one process knows of people's consent, and the grants it issued from that. Only the ledger has one."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

from assistant.consent.grant import _ISSUING, Grant
from assistant.consent.receipt import Record
from assistant.consent.standing import Key, Standing, key_of, standing
from assistant.emotion import Modality
from assistant.errors import ConsentRequired

_PEOPLE_KEPT = 100_000


@dataclass(slots=True)
class Held:
    """What is known of one person."""

    standing: Standing = field(default_factory=Standing)
    issued: dict[Key, Grant] = field(default_factory=dict)
    """Grants from the records that stand; some may have run out."""


class Register:
    """People and their grants, read from the records when they are first asked for.

    Records come from this process (`apply_own`) and from others (`apply_followed`), each in the ledger's order; but
    the two may cross. The records of a person where they crossed are read again.
    """

    def __init__(self, read: Callable[[str], Awaitable[list[Record]]], notice: str) -> None:
        self._read = read
        self._notice = notice
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._unwritten: dict[tuple[str, Key], Record] = {}
        """Withdrawals that the records don't hold yet."""
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._loading: dict[str, int] = {}
        """Whose records are being read, and the newest place that was heard of meanwhile."""
        self.trusted = True
        """Whether what is held is all there is; otherwise the records are read each time."""

    def check(self, grant: Grant, modality: Modality, now: float) -> None:
        """Raise `ConsentRequired` unless `grant` was issued here, for `modality`, and is living."""
        held = self._held.get(grant.person or "")
        if (
            held is None
            or held.issued.get((grant.modality, grant.purpose)) is not grant
            or not held.standing.allows(grant.purpose)
            or grant.modality != modality
            or grant.expires_at <= now
        ):
            raise ConsentRequired(f"there is no living grant for {modality}")

    def turn(self, person: str) -> asyncio.Lock:
        """Whoever holds it changes or reads this person's records; one at a time."""
        return self._turns.setdefault(person, asyncio.Lock())

    async def known(self, person: str) -> Held:
        """What is known of a person."""
        held = self._held.get(person)
        if held is not None and self.trusted:
            return held
        async with self.turn(person):
            return await self.load(person)

    async def load(self, person: str) -> Held:
        """The same, for whoever has the person's turn."""
        held = self._held.get(person)
        if held is not None and self.trusted:
            return held
        while True:
            self._loading[person] = 0
            try:
                fresh = Held(standing(await self._read(person)))
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
        """Take in a record that this process wrote."""
        held = self._held.get(kept.person)
        if held is not None and kept.seq < held.standing.seq:  # another process came after us and was heard first
            self.forget(kept.person)
        else:
            self.anticipate(kept)

    def anticipate(self, record: Record) -> None:
        """Take in a record before it is written, as what it takes away is to count at once."""
        held = self._held.get(record.person)
        if held is not None:
            held.standing.apply(record)
            self._issue(held)

    def apply_followed(self, record: Record, *, own: bool) -> None:
        """Take in a record that the feed brought, unless it is this process's `own`, which was taken in already."""
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
            self.anticipate(record)

    def withdrawal(self, record: Record) -> Record | None:
        """The withdrawal of the same purpose that is not written yet, if there is one."""
        return self._unwritten.get((record.person, key_of(record)))

    def withdraw(self, record: Record) -> None:
        """Let a withdrawal count that is not written yet, until it is settled."""
        self._unwritten[record.person, key_of(record)] = record
        self.anticipate(record)

    def settle(self, withdrawal: Record) -> None:
        """A withdrawal was written, or a later grant came after it; a newer one than this stays."""
        if self.withdrawal(withdrawal) is withdrawal:
            del self._unwritten[withdrawal.person, key_of(withdrawal)]

    def drop_grant(self, grant: Record) -> None:
        """Let go of a grant that ran out."""
        held = self._held.get(grant.person)
        if held is not None and held.standing.granted.get(key_of(grant)) == grant:
            del held.standing.granted[key_of(grant)]
            self._issue(held)

    def forget(self, person: str) -> None:
        """Let go of everything that is held of one person."""
        self._held.pop(person, None)

    def clear(self) -> None:
        """Let go of everybody."""
        self._held.clear()

    def _issue(self, held: Held) -> None:
        """Bring the grants in line with the records: keep those that still stand, and issue the others."""
        living = {
            key: record
            for key, record in held.standing.granted.items()
            if record.notice == self._notice and (record.person, key) not in self._unwritten
        }
        held.issued = {
            key: issued if (issued := held.issued.get(key)) and issued.record == record.id else _grant(record)
            for key, record in living.items()
        }


def _grant(record: Record) -> Grant:
    assert record.expires_at is not None
    modality, purpose = key_of(record)
    until, notice = record.expires_at, record.notice or ""
    return Grant("person", record.person, modality, purpose, notice, until, record.id, issuing=_ISSUING)
