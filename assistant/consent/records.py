"""Creates consent records, stores them, and knows which of them this process wrote."""

from __future__ import annotations

from collections.abc import Callable
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
        self._records = records
        self._clock = clock
        self._new_id = new_id
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
