"""The format of an export of one person: JSON lines, described by a JSON schema."""

from __future__ import annotations

from typing import Any

import msgspec

from assistant.consent.receipt import DECISIONS, Record, iso_date, receipt

FORMAT = "attune-export/1"
MEDIA_TYPE = "application/x-ndjson"


def consent_line(record: Record, *, controller: str) -> dict[str, Any]:
    """A consent record as the person gets it: with a receipt if it is a decision."""
    decided = receipt(record, controller=controller) if record.event in DECISIONS else None
    return {
        "id": record.id,
        "at": iso_date(record.at),
        "event": record.event,
        "modality": record.modality,
        "purpose": record.purpose,
        "notice": record.notice,
        "by": record.actor.kind,
        "receipt": msgspec.to_builtins(decided),
    }


def _line(
    kind: str, about: str, required: dict[str, Any], optional: dict[str, Any] | None = None
) -> dict[str, Any]:
    return {
        "title": kind,
        "description": about,
        "type": "object",
        "properties": {"record": {"const": kind}, **required, **(optional or {})},
        "required": ["record", *required],
        "additionalProperties": False,
    }


_TEXT: dict[str, Any] = {"type": "string"}
_OPTIONAL: dict[str, Any] = {"type": ["string", "null"]}
_TIME: dict[str, Any] = {"type": "number", "description": "unix seconds"}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}
_COUNTS: dict[str, Any] = {"type": "object", "additionalProperties": _COUNT}
_ANY: dict[str, Any] = {"type": "object"}

SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "A line of an export of everything stored about one person",
    "description": "An export is JSON lines: first `export`, last `end`. Without `end` it is incomplete.",
    "oneOf": [
        _line("export", "How many records of each kind follow.",
              {"format": {"const": FORMAT}, "at": _TIME, "app": _TEXT, "counts": _COUNTS, "total": _COUNT}),
        _line("person",
              "The person and their declared profile. The pseudonym stands for the person in the consent ledger.",
              {"person": _TEXT, "pseudonym": _TEXT, "created_at": _TIME, "version": _COUNT, "profile": _ANY}),
        _line("consent", "A decision about consent with its receipt, or another event of the ledger.",
              {"id": _TEXT, "at": {"type": "string", "format": "date-time"}, "event": _TEXT, "modality": _OPTIONAL,
               "purpose": _OPTIONAL, "notice": _OPTIONAL, "by": {"enum": ["person", "app", "operator", "clock"]},
               "receipt": {"type": ["object", "null"]}}),
        _line("moment", "Held only in memory for a short time: the current mood, and corrections by the person.",
              {"kind": {"enum": ["mood", "correction"]}, "data": _ANY}),
        _line("device", "A linked device of the person.", {"at": _TIME, "data": _ANY}),
        _line("context", "A part of the person's recent context.",
              {"name": _TEXT, "at": _TIME, "expires_at": _TIME, "data": {}}),
        _line("baseline",
              "How the person usually sounds or writes, with added noise; stored with the purpose `remember`.",
              {"modality": _TEXT, "at": _TIME, "data": _ANY}),
        _line("mood", "One reading of the person; stored with the purpose `remember`.",
              {"modality": _TEXT, "at": _TIME, "data": _ANY}),
        _line("decision", "What was chosen for the person, and why.", {"id": _TEXT, "at": _TIME, "data": _ANY}),
        _line("reward", "What came of a decision.", {"decision": _TEXT, "at": _TIME, "data": _ANY}),
        _line("access", "Who read or used the person's data.",
              {"who": _TEXT, "action": _TEXT, "purpose": _TEXT, "at": _TIME, "last_at": _TIME, "count": _COUNT}),
        _line("end", "The export is complete: the number of records before this line.", {"records": _COUNT}),
    ],
}  # fmt: skip
