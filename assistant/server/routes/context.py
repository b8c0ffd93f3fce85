"""Routes of a person's recent context."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from assistant.profile.person import PARTS, ContextPart, check_part, lifetime_s
from assistant.server.http.guard import body_of, converted
from assistant.server.http.route import PERSON, Route, enter_person, respond

_PATH = f"{PERSON}/context"

Words = Annotated[str, Meta(min_length=1, max_length=200)]


class Coordinates(msgspec.Struct, forbid_unknown_fields=True):
    """Tenths of a degree: what is more precise is refused."""

    latitude: float
    longitude: float


class Place(msgspec.Struct, forbid_unknown_fields=True):
    """A coarse place, such as a city."""

    place: Annotated[str, Meta(min_length=1, max_length=100)]


class _Part(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    ttl_s: Annotated[float, Meta(gt=0)] | None = None
    """Seconds to live."""


class ZonePart(_Part, forbid_unknown_fields=True):
    """A time zone by its IANA name."""

    value: Annotated[str, Meta(max_length=64)]


class LocationPart(_Part, forbid_unknown_fields=True):
    """`latitude` and `longitude` in tenths of a degree, or a `place`."""

    value: dict[str, Any]


class SearchesPart(_Part, forbid_unknown_fields=True):
    """What was searched for lately, the newest first."""

    value: list[Words]


class ActivityPart(_Part, forbid_unknown_fields=True):
    """What the person is doing."""

    value: Words


class ContextChange(msgspec.Struct, forbid_unknown_fields=True):
    """Parts to keep; null drops one, and what is left out stays."""

    time_zone: ZonePart | UnsetType | None = UNSET
    location: LocationPart | UnsetType | None = UNSET
    searches: SearchesPart | UnsetType | None = UNSET
    activity: ActivityPart | UnsetType | None = UNSET


async def put_context(request: web.Request) -> web.Response:
    """Keep parts of a person's recent context, each for its time."""
    services, _, person = await enter_person(request)
    body = await body_of(request, ContextChange)
    now = services.clock()
    kept: dict[str, ContextPart] = {}
    for part in PARTS:
        given = getattr(body, part)
        if isinstance(given, LocationPart):
            kind = Place if "place" in given.value else Coordinates
            given.value = msgspec.to_builtins(converted(given.value, kind))
        if given is not UNSET and given is not None:
            kept[part] = ContextPart(check_part(part, given.value), now, now + lifetime_s(part, given.ttl_s))
    await services.storage.contexts.put(
        person.pseudonym, kept, [part for part in PARTS if getattr(body, part) is None]
    )
    return respond(_shown(await services.storage.contexts.read_context(person.pseudonym)))


async def get_context(request: web.Request) -> web.Response:
    """A person's recent context."""
    services, _, person = await enter_person(request)
    return respond(_shown(await services.storage.contexts.read_context(person.pseudonym)))


async def delete_context(request: web.Request) -> web.Response:
    """Forget a person's recent context."""
    services, _, person = await enter_person(request)
    await services.storage.contexts.clear(person.pseudonym)
    return web.Response(status=204)


def _shown(known: dict[str, ContextPart]) -> dict[str, Any]:
    return {part: asdict(known[part]) if part in known else None for part in PARTS}


ROUTES: tuple[Route, ...] = (
    Route("PUT", _PATH, put_context, ContextChange),
    Route("GET", _PATH, get_context),
    Route("DELETE", _PATH, delete_context),
)
