"""Routes of consent."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from aiohttp import web

from assistant.consent.dpv import ReceiptDetails, receipt_document
from assistant.consent.receipt import DECISIONS, NOTICES, ConsentReceipt, Record, receipt
from assistant.emotion import MODALITIES, PURPOSES
from assistant.errors import NotFound
from assistant.profile.person import App, Person, subject
from assistant.server.contract.bodies import ConsentBody
from assistant.server.http.guard import body_of
from assistant.server.http.route import PERSON, Route, enter_person, respond
from assistant.server.routes.receipt_page import page

_VARY = {"Vary": "Accept"}
_PAGE = {
    **_VARY,
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


async def get_consent(request: web.Request) -> web.Response:
    """What a person allows now, the notice, and the receipts of every decision."""
    services, caller, person = await enter_person(request)
    now = services.clock()
    history = await services.storage.ledger.history(person.pseudonym)
    granted = {
        (g.modality, g.purpose): g for g in await services.storage.ledger.grants(subject(caller.app, person))
    }
    return respond(
        {
            "person": person.id,
            "notice": {"version": services.storage.ledger.notice, "text": NOTICES[services.storage.ledger.notice]},
            "consents": [
                {
                    "modality": modality,
                    "purpose": purpose,
                    "granted": (modality, purpose) in granted,
                    "expires_in_s": round(granted[modality, purpose].expires_at - now)
                    if (modality, purpose) in granted
                    else None,
                }
                for modality in MODALITIES
                for purpose in PURPOSES
            ],
            "receipts": [_short(record, caller.app, person) for record in history if record.event in DECISIONS],
        }
    )


async def post_consent(request: web.Request) -> web.Response:
    """Grant or withdraw one purpose of one modality. The receipt comes back."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, ConsentBody, services.settings.max_body_bytes)
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


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/consent", get_consent, scope="consent"),
    Route("POST", f"{PERSON}/consent", post_consent, ConsentBody, scope="consent"),
    Route("GET", f"{PERSON}/receipts/{{receipt}}", get_receipt, scope="consent"),
)
