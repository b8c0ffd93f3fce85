"""Routes of a person's rights: to get everything and know who looked, to be forgotten, to restrict, to object."""

from __future__ import annotations

import logging
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
from assistant.server.http.route import PERSON, Route, enter, enter_person, respond
from assistant.services import Services

log = logging.getLogger(__name__)

_MOST = 1000


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
    in_memory = await _momentary(services, caller.app, person)
    chunks = services.storage.exports.stream_export(caller.app, person, in_memory)
    first = await anext(chunks)  # what goes wrong so far is answered as a problem
    head = {"Content-Type": MEDIA_TYPE, "Content-Disposition": 'attachment; filename="export.ndjson"'}
    answer = web.StreamResponse(headers=head)
    await answer.prepare(request)
    if request.method == "HEAD":
        return answer
    await answer.write(first)
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
    body = await body_of(request, ErasuresBody)
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
    body = await body_of(request, RestrictionBody)
    await services.storage.restrict(caller.app, person, body.restricted, caller.actor("api"))
    return respond({"restricted": body.restricted})


async def get_objection(request: web.Request) -> web.Response:
    """Whether a person objects to being profiled for content."""
    services, _, person = await enter_person(request)
    return respond({"objected": (await services.storage.ledger.standing(person.pseudonym)).objected})


async def post_objection(request: web.Request) -> web.Response:
    """Object to profiling for content, or allow it again."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, ObjectionBody)
    await services.storage.object(caller.app, person, body.objected, caller.actor("api"))
    return respond({"objected": body.objected})


async def get_access(request: web.Request) -> web.Response:
    """Who read or used what is known of a person, newest first. Page with `?before=` and `?limit=`."""
    services, _, person = await enter_person(request)
    before, limit = _whole_number(request, "before"), _whole_number(request, "limit")
    found = await services.storage.access.list_accesses(
        person.pseudonym, before=before, limit=min(limit or 100, _MOST)
    )
    accesses: list[dict[str, Any]] = [asdict(access) for access in found]
    return respond({"person": person.id, "accesses": accesses, "next": found[-1].seq if found else None})


def _whole_number(request: web.Request, name: str) -> int | None:
    given = request.query.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and 0 < len(given) < 16 and int(given) > 0):
        raise Invalid(f"`{name}` is a whole number greater than 0")
    return int(given)


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/export", get_export, scope="rights"),
    Route("GET", "/v1/export-schema", get_export_schema, open=True),
    Route("POST", "/v1/erasures", post_erasures, ErasuresBody, scope="rights"),
    Route("GET", f"{PERSON}/restriction", get_restriction, scope="rights"),
    Route("POST", f"{PERSON}/restriction", post_restriction, RestrictionBody, scope="rights"),
    Route("GET", f"{PERSON}/objection", get_objection, scope="rights"),
    Route("POST", f"{PERSON}/objection", post_objection, ObjectionBody, scope="rights"),
    Route("GET", f"{PERSON}/access", get_access, scope="rights"),
)
