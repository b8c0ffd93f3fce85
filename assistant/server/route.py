"""A route, and what every handler begins and ends with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from assistant.profile.person import Person
from assistant.server.caller import Caller, caller_of
from assistant.server.guard import SERVICES, person_of
from assistant.services import Services

PERSON = "/v1/people/{person}"


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


async def enter(request: web.Request) -> tuple[Services, Caller]:
    """The services, and who asks. Raises `Unauthenticated`."""
    return request.app[SERVICES], await caller_of(request)


async def enter_person(request: web.Request) -> tuple[Services, Caller, Person]:
    """The same, with the person that the path names. Raises `NotFound`."""
    services, caller = await enter(request)
    return services, caller, await person_of(request, caller.app, request.match_info["person"])
