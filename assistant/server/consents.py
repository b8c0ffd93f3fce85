"""Routes of consent."""

from __future__ import annotations

from aiohttp import web

from assistant.consent.receipt import NOTICES, receipt
from assistant.emotion import MODALITIES, PURPOSES
from assistant.profile.person import subject
from assistant.server.guard import body_of
from assistant.server.route import PERSON, Route, enter_person, respond
from assistant.server.wire import ConsentBody


async def get_consent(request: web.Request) -> web.Response:
    """What a person allows now, the notice, and the receipts of every decision."""
    services, caller, person = await enter_person(request)
    now = services.clock()
    history = await services.ledger.history(person.pseudonym)
    granted = {(g.modality, g.purpose): g for g in await services.ledger.grants(subject(caller.app, person))}
    return respond(
        {
            "person": person.id,
            "notice": {"version": services.ledger.notice, "text": NOTICES[services.ledger.notice]},
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
            "receipts": [receipt(record, controller=caller.app.name) for record in history],
        }
    )


async def post_consent(request: web.Request) -> web.Response:
    """Grant or withdraw one purpose of one modality; the receipt comes back."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, ConsentBody, services.settings.max_body_bytes)
    record = await services.conversation(caller.app, person).decide(
        body.modality, body.purpose, granted=body.granted, notice=body.notice, actor=caller.actor("api")
    )
    return respond(receipt(record, controller=caller.app.name), 201)


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/consent", get_consent, "What a person allows, with receipts"),
    Route("POST", f"{PERSON}/consent", post_consent, "Grant or withdraw; a receipt comes back", ConsentBody),
)
