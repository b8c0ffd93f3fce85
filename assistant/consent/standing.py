"""The state of a person's consent from their records: grants, restriction, objection, erasure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from assistant.consent.receipt import Record
from assistant.emotion import Modality, Purpose

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
