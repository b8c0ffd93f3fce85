"""Routes of a person's rights: to get everything, to be forgotten, to have it kept but not used, to object."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from assistant.errors import AssistantError, Invalid, NotFound
from assistant.profile.export import MEDIA_TYPE, SCHEMA
from assistant.profile.person import App, Person
from assistant.server.contract.shapes import show_mood
from assistant.server.http.guard import body_of, checked_id
from assistant.server.http.route import PERSON, Route, enter, enter_operations, enter_person, respond
from assistant.services import Services
from assistant.store.aggregates import ROUNDED, TOO_FEW

log = logging.getLogger(__name__)

_MOST = 1000
_PAGE = 100


class RestrictionBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whether what is kept of the person is not to be used."""

    restricted: bool


class ObjectionBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whether the person objects to being profiled for content."""

    objected: bool


class ErasuresBody(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to erase, by the ids that the app gave them."""

    people: Annotated[list[str], Meta(min_length=1, max_length=_MOST)]


async def get_export(request: web.Request) -> web.StreamResponse:
    """Everything that is kept about a person, as lines of JSON."""
    services, caller, person = await enter_person(request)
    chunks = services.storage.exports.stream_export(
        caller.app, person, await _momentary(services, caller.app, person)
    )
    first = await anext(chunks)  # what goes wrong so far is answered as a problem
    answer = web.StreamResponse(
        headers={"Content-Type": MEDIA_TYPE, "Content-Disposition": 'attachment; filename="export.ndjson"'}
    )
    await answer.prepare(request)
    if request.method == "HEAD":
        return answer
    await answer.write(first)
    return await _rest(request, answer, chunks)


async def _rest(
    request: web.Request, answer: web.StreamResponse, chunks: AsyncIterator[bytes]
) -> web.StreamResponse:
    try:
        async for chunk in chunks:
            if chunk:
                await answer.write(chunk)
        await answer.write_eof()
    except AssistantError as error:  # the status is sent: only a broken connection tells that it isn't whole
        log.error("an export broke off: %s", error.code)
        if request.transport is not None:
            request.transport.abort()
    return answer


async def _momentary(services: Services, app: App, person: Person) -> list[dict[str, Any]]:
    readings = services.readings(app, person)
    mood = await readings.mood()
    moods = [] if mood is None else [{"kind": "mood", "data": msgspec.to_builtins(show_mood(mood))}]
    return [*moods, *({"kind": "correction", "data": asdict(correction)} for correction in readings.corrections())]


async def get_export_schema(request: web.Request) -> web.Response:
    """What each line of an export is."""
    return respond(SCHEMA)


async def post_erasures(request: web.Request) -> web.Response:
    """Erase people. Says of each whether there was such a person."""
    services, caller = await enter(request)
    body = await body_of(request, ErasuresBody, services.settings.max_body_bytes)
    found: dict[str, Person] = {}
    for name in dict.fromkeys(body.people):
        try:
            found[name] = await services.storage.people.get(caller.app, checked_id(name))
        except NotFound:
            continue
    await services.erase(caller.app, list(found.values()), caller.actor("api"))
    return respond({"erased": len(found), "people": [{"person": n, "erased": n in found} for n in body.people]})


async def get_restriction(request: web.Request) -> web.Response:
    """Whether what is kept of a person is not used."""
    services, _, person = await enter_person(request)
    return respond({"restricted": (await services.storage.ledger.standing(person.pseudonym)).restricted})


async def post_restriction(request: web.Request) -> web.Response:
    """Keep what is known of a person without using it, or use it again."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, RestrictionBody, services.settings.max_body_bytes)
    await services.storage.restrict(caller.app, person, body.restricted, caller.actor("api"))
    return respond({"restricted": body.restricted})


async def get_objection(request: web.Request) -> web.Response:
    """Whether a person objects to being profiled for content."""
    services, _, person = await enter_person(request)
    return respond({"objected": (await services.storage.ledger.standing(person.pseudonym)).objected})


async def post_objection(request: web.Request) -> web.Response:
    """Object to profiling for content, or allow it again."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, ObjectionBody, services.settings.max_body_bytes)
    await services.storage.object(caller.app, person, body.objected, caller.actor("api"))
    return respond({"objected": body.objected})


async def get_history(request: web.Request) -> web.Response:
    """The mood history, newest first. `?before=N` goes on where the page before ended."""
    services, _, person = await enter_person(request)
    before = request.query.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) < 16):
        raise Invalid("`before` is the `next` of another page", code="page_invalid")
    page = await services.storage.moods.list_moods(
        person.pseudonym, before=None if before is None else int(before), limit=_PAGE
    )
    return respond(
        {
            "moods": [{"at": mood.at, **mood.reading} for mood in page],
            "next": page[-1].seq if len(page) == _PAGE else None,
            "kept_days": services.settings.mood_days,
        }
    )


async def get_aggregates(request: web.Request) -> web.Response:
    """How many people allow what, in numbers that tell of nobody."""
    services, app = await enter_operations(request)
    return respond(
        {
            "apps": await services.storage.aggregates.count_by_app(None if app is None else app.id),
            "note": f"Numbers of {TOO_FEW} people or fewer are null, and so are those whose rest is so few. "
            f"The others are rounded to {ROUNDED}, to tell less of who came between two answers.",
        }
    )


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/export", get_export, scope="rights"),
    Route("GET", "/v1/export-schema", get_export_schema, open=True),
    Route("POST", "/v1/erasures", post_erasures, ErasuresBody, scope="rights"),
    Route("GET", f"{PERSON}/restriction", get_restriction, scope="rights"),
    Route("POST", f"{PERSON}/restriction", post_restriction, RestrictionBody, scope="rights"),
    Route("GET", f"{PERSON}/objection", get_objection, scope="rights"),
    Route("POST", f"{PERSON}/objection", post_objection, ObjectionBody, scope="rights"),
    Route("GET", f"{PERSON}/mood/history", get_history, scope="infer"),
    Route("GET", "/v1/operations/aggregates", get_aggregates, scope="operate"),
)
