"""The HTTP routes: each decodes, asks the services, and encodes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from assistant.consent.receipt import NOTICES, Actor, receipt
from assistant.emotion import MODALITIES, PURPOSES
from assistant.profile.person import App, Person, Profile, subject
from assistant.recommend.catalogue import Catalogue, check
from assistant.server.guard import SERVICES, app_of, body_of, checked_id, person_of
from assistant.server.wire import ConsentBody, MessageBody, PersonBody, RankBody, answer_json
from assistant.services import Services

_MAX_CATALOGUE = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Route:
    """One route, with what the API description says of it."""

    method: str
    path: str
    handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    summary: str
    body: type[Any] | None = None
    open: bool = False
    """Needs no API key."""


def respond(data: Any, status: int = 200) -> web.Response:
    """JSON out."""
    return web.Response(status=status, body=msgspec.json.encode(data), content_type="application/json")


async def healthz(request: web.Request) -> web.Response:
    """The process lives."""
    return respond({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """What works, by part."""
    return respond({"status": "ready", "parts": request.app[SERVICES].health()})


async def put_person(request: web.Request) -> web.Response:
    """Make a person, or replace their profile."""
    services, app = await _enter(request)
    body = await body_of(request, PersonBody, services.settings.max_body_bytes)
    profile = Profile(
        language=body.language,
        country=body.country,
        age_band=body.age_band,
        interests=tuple(body.interests),
        formality=body.formality,
        plain_language=body.plain_language,
    )
    person, new = await services.people.put(app, checked_id(request.match_info["person"]), profile)
    await services.ledger.enforce(subject(app, person), Actor("app", "profile"))
    return respond(_person_json(person), 201 if new else 200)


async def get_person(request: web.Request) -> web.Response:
    """A person's profile."""
    _, _, person = await _enter_person(request)
    return respond(_person_json(person))


async def delete_person(request: web.Request) -> web.Response:
    """Erase a person: their key first, then every row about them."""
    services, _, person = await _enter_person(request)
    await services.erase(person)
    return web.Response(status=204)


async def get_consent(request: web.Request) -> web.Response:
    """What a person allows now, the notice, and the receipts of every decision."""
    services, app, person = await _enter_person(request)
    now = services.clock()
    history = await services.ledger.history(person.pseudonym)
    granted = {(g.modality, g.purpose): g for g in await services.ledger.grants(subject(app, person))}
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
            "receipts": [receipt(record, controller=app.name) for record in history],
        }
    )


async def post_consent(request: web.Request) -> web.Response:
    """Grant or withdraw one purpose of one modality; the receipt comes back."""
    services, app, person = await _enter_person(request)
    body = await body_of(request, ConsentBody, services.settings.max_body_bytes)
    record = await services.conversation(app, person).decide(
        body.modality, body.purpose, granted=body.granted, notice=body.notice, actor=Actor("app", "api")
    )
    return respond(receipt(record, controller=app.name), 201)


async def get_mood(request: web.Request) -> web.Response:
    """The current mood, or null."""
    services, app, person = await _enter_person(request)
    mood = await services.conversation(app, person).mood()
    return respond(None if mood is None else mood.as_json())


async def post_message(request: web.Request) -> web.Response:
    """Something a person wrote; back come the mood, the tone, the recommendations and the way to help."""
    services, app, person = await _enter_person(request)
    body = await body_of(request, MessageBody, services.settings.max_body_bytes)
    return respond(answer_json(await services.conversation(app, person).read(body.text)))


async def get_models(request: web.Request) -> web.Response:
    """Chat models, of which there are none yet; beside them the readers that this server loaded."""
    services, _ = await _enter(request)
    readers = [
        {
            "id": card.name,
            "kind": card.kind,
            "version": card.data.get("version"),
            "licence": card.licence,
            "sha256": card.sha256,
        }
        for card in services.readers
    ]
    return respond({"object": "list", "data": [], "readers": readers})


async def put_catalogue(request: web.Request) -> web.Response:
    """Replace what the app can recommend."""
    services, app = await _enter(request)
    catalogue = await body_of(request, Catalogue, _MAX_CATALOGUE)
    check(catalogue)
    await services.catalogues.put(app.id, catalogue)
    return respond({"version": catalogue.version, "items": len(catalogue.items)})


async def post_rank(request: web.Request) -> web.Response:
    """Rank the catalogue for a person, now."""
    services, app, person = await _enter_person(request)
    body = await body_of(request, RankBody, services.settings.max_body_bytes)
    decision, slate = await services.conversation(app, person).rank(body.slots, body.candidates)
    return respond({"decision": decision, "recommendations": [item.as_json() for item in slate]})


async def _enter(request: web.Request) -> tuple[Services, App]:
    return request.app[SERVICES], await app_of(request)


async def _enter_person(request: web.Request) -> tuple[Services, App, Person]:
    services, app = await _enter(request)
    return services, app, await person_of(request, app, request.match_info["person"])


def _person_json(person: Person) -> dict[str, Any]:
    return {"person": person.id, "version": person.version, "profile": msgspec.to_builtins(person.profile)}


_PERSON = "/v1/people/{person}"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/healthz", healthz, "The process lives", open=True),
    Route("GET", "/readyz", readyz, "The parts that work", open=True),
    Route("PUT", _PERSON, put_person, "Make a person, or replace their profile", PersonBody),
    Route("GET", _PERSON, get_person, "A person's profile"),
    Route("DELETE", _PERSON, delete_person, "Erase a person"),
    Route("GET", f"{_PERSON}/consent", get_consent, "What a person allows, with receipts"),
    Route("POST", f"{_PERSON}/consent", post_consent, "Grant or withdraw; a receipt comes back", ConsentBody),
    Route("GET", f"{_PERSON}/mood", get_mood, "The current mood, or null"),
    Route("POST", f"{_PERSON}/messages", post_message, "Mood, tone and recommendations for a message", MessageBody),
    Route("GET", "/v1/models", get_models, "Chat models, and the readers that are loaded"),
    Route("PUT", "/v1/catalogue", put_catalogue, "Replace the catalogue", Catalogue),
    Route("POST", f"{_PERSON}/rank", post_rank, "Rank the catalogue for a person", RankBody),
)
