"""Consent records: their storage, their writer, and the hash chain over them.

Each record carries a hash of itself and of everything before it: changing, removing or inserting one breaks every
hash after it. Cutting records off the end breaks no hash: to detect that, store the head somewhere else from time
to time and check later that it is still in the chain. Somebody who can rewrite the whole database can also rewrite
the whole chain; only a head stored elsewhere reveals that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from assistant.consent.receipt import Actor, Event, Record
from assistant.emotion import Modality, Purpose


class Records(Protocol):
    """Storage of consent records."""

    async def append(self, record: Record) -> Record:
        """Store one record, durable when this returns; the result has `seq` and `hash`.

        An `expired` record that is already stored is not written again.
        """

    async def history(self, person: str) -> list[Record]:
        """All records about one person, oldest first."""

    async def last_seq(self) -> int:
        """`seq` of the newest record; 0 if there are none."""

    async def expired(self, now: float, limit: int) -> list[Record]:
        """At most `limit` grants that expired and were not replaced, withdrawn or recorded as expired yet."""


class RecordWriter:
    """Creates records and stores them."""

    def __init__(self, records: Records, clock: Callable[[], float], new_id: Callable[[], str]) -> None:
        self._records, self._clock, self._new_id = records, clock, new_id
        self._own: set[str] = set()
        """Ids of this process's records that the feed of changes has not brought back yet."""
        self.followed = False
        """Whether a feed of changes brings every record back."""

    def make(
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
        id: str | None = None,
    ) -> Record:
        """Create a record of what happens now, without storing it."""
        return Record(
            id or self._new_id(),
            person,
            self._clock(),
            event,
            modality,
            purpose,
            notice,
            expires_at,
            actor,
            reason,
            app,
        )

    async def store(self, record: Record) -> Record:
        """Store a record, durable when this returns; the result has `seq` and `hash`."""
        # another process may write the same `expired` record first; the feed then brings that one
        if self.followed and record.event != "expired":
            self._own.add(record.id)
        try:
            return await self._records.append(record)
        except BaseException:  # if it was stored all the same, the feed brings it
            self._own.discard(record.id)
            raise

    def take_own(self, record: Record) -> bool:
        """Whether this record from the feed was written by this process. True once for each."""
        own = record.id in self._own
        self._own.discard(record.id)
        return own


GENESIS = hashlib.sha256(b"attune consent ledger, version 1").hexdigest()
"""The hash before the first record."""


def canonical(record: Record) -> bytes:
    """The bytes of a record that are hashed: JSON with sorted keys, without spaces, in ASCII.

    This form must never change, or no old chain could be verified. A new member may be added only where it is not
    null.
    """
    kept = {
        "id": record.id,
        "app": record.app,
        "person": record.person,
        "at": float(record.at),
        "event": record.event,
        "modality": record.modality,
        "purpose": record.purpose,
        "notice": record.notice,
        "expires_at": None if record.expires_at is None else float(record.expires_at),
        "actor": record.actor.kind,
        "evidence": record.actor.evidence,
        "reason": record.reason,
    }
    return json.dumps(kept, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def link(previous: str, record: Record) -> str:
    """The hash of a record that follows `previous`: SHA-256 over both, in hexadecimal.

    >>> from assistant.consent.receipt import Actor
    >>> a = Record("1", "p", 0.0, "granted", "voice", "tone", "1", 9.0, Actor("app", "api"))
    >>> link(GENESIS, a) == link(GENESIS, a) != link(link(GENESIS, a), a)
    True
    """
    return hashlib.sha256(bytes.fromhex(previous) + canonical(record)).hexdigest()


@dataclass(slots=True)
class Audit:
    """Checks the chain in batches: whether it is intact so far, and contains a head that was stored earlier."""

    expected: str | None = None
    """A head that was stored earlier, to look for."""
    records: int = 0
    head: str = GENESIS
    broken: Record | None = None
    """The first record whose hash is wrong: this record or one just before it was changed, removed or inserted."""
    seen: bool = False
    """Whether the expected head was found."""

    def __post_init__(self) -> None:
        self.seen = self.expected in (None, GENESIS)

    def check_records(self, records: Iterable[Record]) -> None:
        """Check the next records, in order. Stops at the first broken one."""
        for record in records:
            if self.broken is not None:
                return
            self.records += 1
            if link(self.head, record) != record.hash:
                self.broken = record
                return
            self.head = record.hash
            self.seen = self.seen or self.head == self.expected
