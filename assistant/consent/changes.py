"""Changes of consent: listeners to them, and a follower that learns what other processes wrote."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Protocol

from assistant.consent.receipt import Event, Record
from assistant.consent.records import Records, RecordWriter
from assistant.consent.register import Register

Listener = Callable[[Record], None]

_CHANGES_NOTHING: frozenset[Event] = frozenset({"notice_shown", "notice_acknowledged", "excepted"})
"""Events that listeners do not get."""


class Listeners:
    """Listeners to the records of one person, or of everybody (None)."""

    def __init__(self) -> None:
        self._listeners: dict[str | None, set[Listener]] = {}

    def __len__(self) -> int:
        """Number of people with listeners; listening to everybody counts as one."""
        return len(self._listeners)

    def subscribe(self, person: str | None, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every record that changes what `person` (None: anybody) allows.

        Call the result to stop.
        """
        self._listeners.setdefault(person, set()).add(listener)

        def stop() -> None:
            listeners = self._listeners.get(person, set())
            listeners.discard(listener)
            if not listeners:
                self._listeners.pop(person, None)

        return stop

    def notify(self, record: Record) -> None:
        """Call the listeners to everybody, then those to the record's person."""
        if record.event in _CHANGES_NOTHING:
            return
        for person in (None, record.person):
            for listener in tuple(self._listeners.get(person, ())):
                listener(record)


log = logging.getLogger(__name__)

SILENCE_S = 3.0
"""A feed that is silent for this long counts as broken."""
_AGAIN_S = 0.25
"""Seconds between two attempts to follow the feed."""


class Changes(Protocol):
    """A feed of the ledger's records. `store` has one for each kind of database."""

    def follow(self, after: int) -> AsyncGenerator[Sequence[Record], None]:
        """Records after this place (`seq`) in the ledger, in order, soon after any process wrote them.

        An empty batch comes at least once a second and means that the feed works and there are no more records.
        Raises `Unavailable` when the feed breaks.
        """


class Follower:
    """Applies the records of other processes in this one.

    While the feed is broken the register is not trusted: its content does not count, and the records are read from
    the database each time.
    """

    def __init__(self, records: Records, register: Register, writer: RecordWriter, listeners: Listeners) -> None:
        self._records = records
        self._register = register
        self._writer = writer
        self._listeners = listeners

    @asynccontextmanager
    async def following(self, changes: Changes, silence_s: float) -> AsyncIterator[None]:
        """Follow the feed in a task that ends with the context."""
        self._writer.followed, self._register.trusted = True, False
        task = asyncio.create_task(self._follow(changes, silence_s))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._writer.followed = False

    async def _follow(self, changes: Changes, silence_s: float) -> None:
        """Follow the feed for ever. After a break it continues at the same place, so that no record is missed."""
        heard: int | None = None
        while True:
            try:
                if heard is None:
                    heard = await self._records.last_seq()
                    self._register.clear()  # what was read before may have changed since
                async with aclosing(changes.follow(heard)) as feed:
                    while True:
                        async with asyncio.timeout(silence_s):
                            records = await anext(feed)
                        for record in records:
                            self._hear(record)
                            heard = record.seq
                        if not records:
                            self._register.trusted = True
            except Exception as error:
                self._distrust(error)
            await asyncio.sleep(_AGAIN_S)

    def _hear(self, record: Record) -> None:
        own = self._writer.take_own(record)
        self._register.apply_followed(record, own=own)
        if not own:
            self._listeners.notify(record)

    def _distrust(self, error: Exception) -> None:
        if self._register.trusted:
            log.error("the feed of consent changes broke (%s); reading the records", type(error).__name__)
            self._register.trusted = False
            self._register.clear()
