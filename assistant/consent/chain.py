"""The hash chain of the ledger: each record carries a hash of itself and of everything before it.

Changing, removing or inserting a record breaks every hash after it. Cutting records off the end breaks no hash: to
detect that, store the head somewhere else from time to time and check later that it is still in the chain. Somebody
who can rewrite the whole database can also rewrite the whole chain; only a head stored elsewhere reveals that.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

from assistant.consent.receipt import Record

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
