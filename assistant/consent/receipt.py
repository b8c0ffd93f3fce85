"""Consent records, as the ledger stores them, and receipts, as the person gets them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import msgspec
from msgspec import UNSET, UnsetType

from assistant.emotion import STATEMENT, Modality, Purpose

Event = Literal[
    "granted", "withdrawn", "refused", "expired", "notice_shown", "notice_acknowledged", "restricted",
    "unrestricted", "objected", "unobjected", "excepted", "erased",
]  # fmt: skip
"""What happened. `excepted`: a signed exception was used."""

DECISIONS: frozenset[Event] = frozenset({"granted", "withdrawn", "refused", "expired"})
"""Events about one modality and purpose; the person gets a receipt for each."""
ENDINGS: frozenset[Event] = frozenset({"withdrawn", "expired", "restricted", "erased"})
"""Events after which something may no longer be inferred."""

NOTICES: dict[str, str] = {
    "1": "If you allow it, software estimates emotion from your voice or your text: how pleasant, activated and "
    "stressed it sounds. It is an estimate of expression, can be wrong, and is used only for what you allow. "
    "Nothing is recorded. You can withdraw at any moment, and everything works without it."
}
"""Texts of the notice by version."""

DOES: dict[Purpose, str] = {
    "tone": "adjust how the assistant speaks to you",
    "content": "adjust what it recommends",
    "remember": "keep the history of your mood and how you usually sound",
    "research": "use the estimates to evaluate and improve the models",
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decided, and where that came from."""

    kind: Literal["person", "app", "operator", "clock"]
    """The person with their own token, the app on their behalf, the server's operator, or the clock (expiry)."""
    evidence: str
    """Origin of the decision, such as `api` or `stream`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the ledger. Never changed or deleted; after an erasure its pseudonym cannot be resolved."""

    id: str
    person: str
    """Pseudonym of the person."""
    at: float
    """Unix seconds."""
    event: Event
    modality: Modality | None
    """None if the event is about all modalities; likewise the purpose."""
    purpose: Purpose | None
    notice: str | None
    """Version of the notice; None if none was involved."""
    expires_at: float | None
    """Unix seconds; set for grants."""
    actor: Actor
    reason: str | None = None
    """Code of the rule that refused; for `expired`, the id of the grant that expired."""
    app: str = ""
    """Id of the app."""
    seq: int = field(default=0, compare=False)
    """Place in the ledger; 0 until it is stored."""
    hash: str = field(default="", compare=False)
    """Hash of the chain up to this record; empty until it is stored."""


class NoticeShown(msgspec.Struct):
    """A version of the notice."""

    version: str | None
    text: str


class DecidedBy(msgspec.Struct):
    """Who decided."""

    kind: Literal["person", "app", "operator", "clock"]
    evidence: str


class Withdrawal(msgspec.Struct):
    """What to send to withdraw."""

    modality: Modality
    purpose: Purpose
    granted: bool


class ConsentReceipt(msgspec.Struct, kw_only=True):
    """A decision about consent: the person's copy, in words that need no manual; `consent.dpv` has it whole."""

    receipt: str
    event: Literal["granted", "withdrawn", "refused", "expired"]
    at: str
    """ISO 8601, as are all its times."""
    controller: str
    modality: Modality
    purpose: Purpose
    means: str
    notice: NoticeShown
    expires_at: str | None
    decided_by: DecidedBy
    reason: str | None
    withdraw: Withdrawal
    statement: str
    link: str | UnsetType = UNSET
    """Where the whole receipt is."""


def receipt(record: Record, *, controller: str, link: str | UnsetType = UNSET) -> ConsentReceipt:
    """The receipt for one of the `DECISIONS`."""
    modality, purpose, event = record.modality, record.purpose, record.event
    assert modality is not None
    assert purpose is not None
    assert event in ("granted", "withdrawn", "refused", "expired")
    return ConsentReceipt(
        receipt=record.id,
        event=event,
        at=iso_date(record.at),
        controller=controller,
        modality=modality,
        purpose=purpose,
        means=f"estimate emotion from your {modality} to {DOES[purpose]}",
        notice=NoticeShown(record.notice, NOTICES.get(record.notice or "", "")),
        expires_at=None if record.expires_at is None else iso_date(record.expires_at),
        decided_by=DecidedBy(record.actor.kind, record.actor.evidence),
        reason=record.reason,
        withdraw=Withdrawal(modality, purpose, granted=False),
        statement=STATEMENT,
        link=link,
    )


def iso_date(at: float) -> str:
    """Unix seconds as ISO 8601 in UTC.

    >>> iso_date(0.0)
    '1970-01-01T00:00:00Z'
    """
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
