"""Listeners that are called when a person's consent changes."""

from __future__ import annotations

from collections.abc import Callable

from assistant.consent.receipt import Event, Record

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
