"""A receipt that people can read, print and keep: one page of HTML that loads nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from assistant.consent.dpv import RIGHTS, ReceiptDetails, retention_text
from assistant.consent.receipt import DECISIONS, DOES, NOTICES, Event, Record, iso_date
from assistant.consent.register import key_of
from assistant.emotion import STATEMENT
from assistant.pages import open_templates

_SAYS: dict[Event, str] = {
    "granted": "You allowed this",
    "withdrawn": "You withdrew this",
    "refused": "This was refused",
    "expired": "This ran out",
}
_TEMPLATE = open_templates(Path(__file__).parent / "templates").get_template("receipt.html.jinja")


def page(record: Record, history: Sequence[Record], about: ReceiptDetails) -> str:
    """The receipt for one of the `DECISIONS`, in HTML. Everything that anybody chose is escaped."""
    modality, purpose = key_of(record)
    events = [
        one
        for one in history
        if one.event in DECISIONS and key_of(one) == (modality, purpose) and one.seq <= record.seq
    ]
    title = f"{_SAYS[record.event]}: estimating emotion from your {modality} to {DOES[purpose]}"
    facts = [
        (
            "Who answers for it",
            ", ".join(part for part in (about.controller, about.address, about.contact) if part),
        ),
        ("When", _when(record.at)),
        ("Until", _when(record.expires_at) if record.expires_at is not None else "—"),
        ("Who decided", _who(record)),
        ("Legal basis", "your consent; without it nothing is estimated"),
        ("What is kept", retention_text(purpose, about)),
        ("Who gets it", f"{about.controller} and nobody else; the models run on the server itself"),
        ("Where it is kept", ", ".join(about.stored_in) or "not stated to this server"),
        ("Which law", ", ".join(about.places) or "not stated to this server"),
    ]
    if record.event == "refused":
        facts.append(("Why", f"a rule refused it, whatever is allowed: {record.reason}"))
    return _TEMPLATE.render(
        title=title,
        facts=facts,
        about=about,
        modality=modality,
        purpose=purpose,
        notice=NOTICES.get(record.notice or "", ""),
        record=record,
        statement=STATEMENT,
        history=[(_when(one.at), _SAYS[one.event], _who(one)) for one in reversed(events)],
        rights=[(right[0].upper() + right[1:], f"{method} {about.path}{end}") for right, method, end in RIGHTS],
    )


def _when(at: float) -> str:
    return iso_date(at).replace("T", " ").replace("Z", " UTC")


def _who(record: Record) -> str:
    """Who decided, in words.

    >>> from assistant.consent.receipt import Actor
    >>> _who(Record("1", "p", 0.0, "expired", "voice", "tone", "1", None, Actor("clock", "expiry")))
    'nobody; its time was over'
    """
    return {
        "person": "you",
        "app": "the app, on your behalf",
        "operator": "whoever runs the server",
        "clock": "nobody; its time was over",
    }[record.actor.kind]
