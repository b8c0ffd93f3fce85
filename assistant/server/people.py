"""Routes of people and their profiles."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from assistant.profile.person import Person, Profile, subject
from assistant.server.guard import body_of, checked_id
from assistant.server.route import PERSON, Route, enter, enter_person, respond
from assistant.server.wire import PersonBody


async def put_person(request: web.Request) -> web.Response:
    """Make a person, or replace their profile."""
    services, caller = await enter(request)
    body = await body_of(request, PersonBody, services.settings.max_body_bytes)
    profile = Profile(
        language=body.language,
        country=body.country,
        age_band=body.age_band,
        interests=tuple(body.interests),
        formality=body.formality,
        plain_language=body.plain_language,
    )
    person, new = await services.people.put(caller.app, checked_id(request.match_info["person"]), profile)
    await services.ledger.enforce(subject(caller.app, person), caller.actor("profile"))
    return respond(_person_json(person), 201 if new else 200)


async def get_person(request: web.Request) -> web.Response:
    """A person's profile."""
    _, _, person = await enter_person(request)
    return respond(_person_json(person))


async def delete_person(request: web.Request) -> web.Response:
    """Erase a person: their key first, then every row about them."""
    services, _, person = await enter_person(request)
    await services.erase(person)
    return web.Response(status=204)


def _person_json(person: Person) -> dict[str, Any]:
    return {"person": person.id, "version": person.version, "profile": msgspec.to_builtins(person.profile)}


ROUTES: tuple[Route, ...] = (
    Route("PUT", PERSON, put_person, "Make a person, or replace their profile", PersonBody),
    Route("GET", PERSON, get_person, "A person's profile"),
    Route("DELETE", PERSON, delete_person, "Erase a person"),
)
