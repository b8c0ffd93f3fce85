"""What was decided about consent: the record that the ledger keeps and the receipt that the person gets."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from assistant.emotion import STATEMENT, Modality, Purpose

Event = Literal["granted", "withdrawn", "refused"]

NOTICES: dict[str, str] = {
    "1": "If you allow it, software estimates emotion from your voice or your text: how pleasant, activated and "
    "stressed it sounds. It is an estimate of expression, can be wrong, and is used only for what you allow. "
    "Nothing is recorded. You can withdraw at any moment, and everything works without it.",
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
    """Who decided, and what shows it."""

    kind: Literal["person", "app"]
    """A person with their own token, or the app on the person's behalf."""
    evidence: str
    """Where it came from, such as `api` or `stream`."""


@dataclass(frozen=True, slots=True)
class Record:
    """One entry of the ledger. Never changed, never deleted while the person exists."""

    id: str
    person: str
    """Pseudonym."""
    at: float
    """Unix seconds."""
    event: Event
    modality: Modality
    purpose: Purpose
    notice: str
    expires_at: float | None
    """Unix seconds; set for grants."""
    actor: Actor
    reason: str | None = None
    """Code of the rule that refused."""


def receipt(record: Record, *, controller: str) -> dict[str, Any]:
    """The person's copy, for one record, in words that need no manual."""
    return {
        "receipt": record.id,
        "event": record.event,
        "at": _date(record.at),
        "controller": controller,
        "modality": record.modality,
        "purpose": record.purpose,
        "means": f"estimate emotion from your {record.modality} to {DOES[record.purpose]}",
        "notice": {"version": record.notice, "text": NOTICES.get(record.notice, "")},
        "expires_at": None if record.expires_at is None else _date(record.expires_at),
        "decided_by": {"kind": record.actor.kind, "evidence": record.actor.evidence},
        "reason": record.reason,
        "withdraw": {"modality": record.modality, "purpose": record.purpose, "granted": False},
        "statement": STATEMENT,
    }


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
