"""The chain of the ledger: each record carries a hash of itself and of everything before it.

Whoever changes, removes or inserts a record breaks every hash after it. Cutting records off the end breaks none:
for that, note the head from time to time somewhere else, and ask later whether it is still part of the chain.
Whoever can rewrite the whole database can rewrite the whole chain; only a head noted elsewhere tells.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from assistant.consent.receipt import Record

GENESIS = hashlib.sha256(b"attune consent ledger, version 1").hexdigest()
"""What the first record follows."""


def canonical(record: Record) -> bytes:
    """The one way in which a record is written down to be hashed: JSON, sorted, without spaces, in ASCII.

    It never changes, or no chain could be proved any more; members are only ever added where they are not null.
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
    """A walk along the chain, in batches; whether it is whole so far, and passed a head that was noted earlier."""

    expected: str | None = None
    """A head to look for."""
    records: int = 0
    head: str = GENESIS
    broken: Record | None = None
    """The first record whose hash is wrong: it, or something just before it, was changed, removed or put in."""
    seen: bool = False
    """Whether the expected head was passed."""

    def __post_init__(self) -> None:
        self.seen = self.expected in (None, GENESIS)

    def walk(self, records: Iterable[Record]) -> None:
        """Go on with the next records, in their order. Where the chain is broken the walk ends."""
        for record in records:
            if self.broken is not None:
                return
            self.records += 1
            if link(self.head, record) != record.hash:
                self.broken = record
                return
            self.head = record.hash
            self.seen = self.seen or self.head == self.expected
