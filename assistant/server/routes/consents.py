"""Routes of consent: what a person allows, the rules that hold whatever they allow, and receipts to keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import quote

import msgspec
from aiohttp import web

from assistant.consent.dpv import RIGHTS, ReceiptDetails, receipt_document, retention_text
from assistant.consent.legal_rules import (
    CONSENT_AGES,
    DISCLOSE_EVERY_S,
    DUTIES,
    PROHIBITIONS,
    UNKNOWN_AGE,
    explain_policy,
)
from assistant.consent.receipt import DECISIONS, DOES, NOTICES, ConsentReceipt, Event, Record, iso_date, receipt
from assistant.consent.register import key_of
from assistant.emotion import MODALITIES, PURPOSES, STATEMENT, Modality, Purpose
from assistant.errors import NotFound
from assistant.pages import open_templates
from assistant.profile.person import App, Person, subject
from assistant.server.http.guard import body_of
from assistant.server.http.route import PERSON, Route, enter, enter_person, respond

_SAYS: dict[Event, str] = {
    "granted": "You allowed this",
    "withdrawn": "You withdrew this",
    "refused": "This was refused",
    "expired": "This ran out",
}
_TEMPLATE = open_templates(__file__).get_template("receipt.html.jinja")
_VARY = {"Vary": "Accept"}
_PAGE = {
    **_VARY,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class ConsentBody(msgspec.Struct, forbid_unknown_fields=True):
    """A decision about one modality and one purpose. `notice` is the version that was shown; grants need it."""

    modality: Modality
    purpose: Purpose
    granted: bool
    notice: str = ""


async def get_consent(request: web.Request) -> web.Response:
    """What a person allows now, the notice, and the receipts of every decision."""
    services, caller, person = await enter_person(request)
    now = services.clock()
    history = await services.storage.ledger.history(person.pseudonym)
    grants = await services.storage.ledger.grants(subject(caller.app, person))
    left_s = {(grant.modality, grant.purpose): round(grant.expires_at - now) for grant in grants}
    consents = [
        {"modality": m, "purpose": p, "granted": (m, p) in left_s, "expires_in_s": left_s.get((m, p))}
        for m in MODALITIES
        for p in PURPOSES
    ]
    notice = services.storage.ledger.notice
    return respond(
        {
            "person": person.id,
            "notice": {"version": notice, "text": NOTICES[notice]},
            "consents": consents,
            "receipts": [_short(record, caller.app, person) for record in history if record.event in DECISIONS],
        }
    )


async def post_consent(request: web.Request) -> web.Response:
    """Grant or withdraw one purpose of one modality. The receipt comes back."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, ConsentBody)
    record = await services.conversation(caller.app, person).decide(
        body.modality, body.purpose, granted=body.granted, notice=body.notice, actor=caller.actor("api")
    )
    return respond(_short(record, caller.app, person), 201)


async def get_receipt(request: web.Request) -> web.Response:
    """The whole receipt of one decision. JSON-LD, or a page to print where `Accept` asks for HTML."""
    services, caller, person = await enter_person(request)
    history = await services.storage.ledger.history(person.pseudonym)
    wanted = request.match_info["receipt"]
    record = next((one for one in history if one.id == wanted and one.event in DECISIONS), None)
    if record is None:
        raise NotFound("this person has no such receipt", code="receipt_unknown")
    settings = services.settings
    about = ReceiptDetails(
        controller=caller.app.name,
        app=caller.app.id,
        person=person.id,
        path=_path(person),
        places=subject(caller.app, person).places,
        mood_s=settings.mood_expires_s,
        history_days=settings.mood_days,
        baseline_days=settings.baseline_days,
        address=caller.app.settings.address,
        contact=caller.app.settings.contact,
        stored_in=caller.app.settings.stored_in,
    )
    if "text/html" in request.headers.get("Accept", ""):
        return web.Response(text=page(record, history, about), content_type="text/html", headers=_PAGE)
    body = msgspec.json.encode(receipt_document(record, history, about))
    return web.Response(body=body, content_type="application/ld+json", headers=_VARY)


def _path(person: Person) -> str:
    return f"/v1/people/{quote(person.id, safe='')}"


def _short(record: Record, app: App, person: Person) -> ConsentReceipt:
    """The short receipt, and where the whole one is."""
    return receipt(record, controller=app.name, link=f"{_path(person)}/receipts/{quote(record.id, safe='')}")


async def get_policy(request: web.Request) -> web.Response:
    """Every rule of consent: where it holds, and where it comes from."""
    await enter(request)
    return respond(
        {
            "refusals": [asdict(rule) for rule in PROHIBITIONS],
            "duties": [asdict(duty) for duty in DUTIES],
            "disclose_every_s": DISCLOSE_EVERY_S,
            "consent_ages": {
                **{where: {"years": years, "source": source} for where, (years, source) in CONSENT_AGES.items()},
                "*": {"years": UNKNOWN_AGE, "source": "where nothing else is known"},
            },
        }
    )


async def get_person_policy(request: web.Request) -> web.Response:
    """The rules of consent that hold for a person."""
    services, caller, person = await enter_person(request)
    return respond(explain_policy(subject(caller.app, person), services.clock()))


def page(record: Record, history: Sequence[Record], about: ReceiptDetails) -> str:
    """The receipt for one of the `DECISIONS`, in HTML. Everything that anybody chose is escaped."""
    modality, purpose = key = key_of(record)
    events = [one for one in history if one.event in DECISIONS and key_of(one) == key and one.seq <= record.seq]
    title = f"{_SAYS[record.event]}: estimating emotion from your {modality} to {DOES[purpose]}"
    controller = ", ".join(part for part in (about.controller, about.address, about.contact) if part)
    facts = [
        ("Who answers for it", controller),
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


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/consent", get_consent, scope="consent"),
    Route("POST", f"{PERSON}/consent", post_consent, ConsentBody, scope="consent"),
    Route("GET", f"{PERSON}/receipts/{{receipt}}", get_receipt, scope="consent"),
    Route("GET", "/v1/policy", get_policy, scope="consent"),
    Route("GET", f"{PERSON}/policy", get_person_policy, scope="consent"),
)
