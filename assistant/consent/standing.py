"""What a person's records come to: their living grants, and whether they restricted or objected."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from assistant.consent.receipt import Record
from assistant.emotion import Modality, Purpose

Key = tuple[Modality, Purpose]


@dataclass(slots=True)
class Standing:
    """Where a person stands; `apply` moves it on, record by record."""

    granted: dict[Key, Record] = field(default_factory=dict)
    """The record of each grant that was not withdrawn; some may have run out."""
    restricted: bool = False
    """Their data is kept, and not used."""
    objected: bool = False
    """They object to profiling for content."""
    erased: bool = False
    seq: int = 0
    """Place of the newest record that was taken in."""

    def apply(self, record: Record) -> None:
        """Take in the next record. A refusal undoes nothing, nor does `expired`: a grant says when it ends."""
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
        """Whether a grant for `purpose` may be used as things stand."""
        return not (self.restricted or self.erased or (self.objected and purpose == "content"))


def standing(records: Iterable[Record]) -> Standing:
    """What records of one person, oldest first, come to.

    >>> from assistant.consent.receipt import Actor
    >>> def record(event):
    ...     return Record("r", "p", 0.0, event, "voice", "tone", "1", 9.0, Actor("app", "api"))
    >>> list(standing([record("granted"), record("refused")]).granted)
    [('voice', 'tone')]
    >>> list(standing([record("granted"), record("withdrawn")]).granted)
    []
    """
    whole = Standing()
    for record in records:
        whole.apply(record)
    return whole


def key_of(record: Record) -> Key:
    """Which grant a decision is about."""
    assert record.modality is not None
    assert record.purpose is not None
    return record.modality, record.purpose
