"""A route, and what every handler begins and ends with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from assistant.errors import NotFound, Unauthenticated
from assistant.profile.access import Scope
from assistant.profile.person import App, Person
from assistant.server.http.caller import CALLER, OPERATOR, Caller, caller_of, credential_of, is_token
from assistant.server.http.guard import SERVICES, Handler
from assistant.server.http.oidc import OPERATORS
from assistant.server.http.openai import openai_errors
from assistant.server.http.rate_limit import RATE_LIMITS
from assistant.services import Services

PERSON = "/v1/people/{person}"
DECISION = "/v1/decisions/{decision}"
_MAX_DECISION = 128


@dataclass(frozen=True, slots=True)
class Route:
    """One route, with what the API description says of it."""

    method: str
    path: str
    handler: Handler
    """Its docstring is what the API description says: the first sentence as the summary."""
    body: type[Any] | None = None
    open: bool = False
    """Needs no API key."""
    scope: Scope = "people"
    """What a key must be allowed, or a person's token where the route concerns one person."""
    socket: bool = False
    """A WebSocket, which another document describes."""
    personal: bool = False
    """Concerns one person though its path names nobody."""
    openai: bool = False
    """Belongs to OpenAI's API: it has their errors, and is served with a slash at its end too."""
    form: bool = False
    """Takes its body as `multipart/form-data`, not as JSON."""

    @property
    def patterns(self) -> tuple[str, ...]:
        """The paths as the router takes them. Names of models may contain slashes.

        >>> async def handler(request: web.Request) -> web.StreamResponse: ...
        >>> Route("GET", "/v1/models/{model}", handler, openai=True).patterns
        ('/v1/models/{model:.+}',)
        >>> Route("GET", "/v1/models", handler, openai=True).patterns
        ('/v1/models', '/v1/models/')
        """
        path = self.path.replace("{model}", "{model:.+}")
        return (path, f"{path}/") if self.openai and not path.endswith("}") else (path,)


def admitted(route: Route) -> Handler:
    """The route's handler, behind the one place that asks who calls and whether they may."""

    async def handler(request: web.Request) -> web.StreamResponse:
        await _admit(request, route)
        return await route.handler(request)

    guarded = route.handler if route.open else handler
    return openai_errors(guarded) if route.openai else guarded


async def _admit(request: web.Request, route: Route) -> None:
    credential = credential_of(request)
    if route.scope == "operate" and is_token(credential):
        request[OPERATOR] = await request.app[OPERATORS].verify(credential)
        return
    caller = await caller_of(request.app[SERVICES], credential)
    person = request.match_info.get("person", request.query.get("person") if route.personal else None)
    request.app[RATE_LIMITS].take(caller, person)
    caller.require(route.scope, personal=route.personal or "person" in request.match_info)
    if "person" in request.match_info:
        request.match_info["person"] = caller.may_name(request.match_info["person"])
    request[CALLER] = caller


@dataclass(frozen=True, slots=True)
class Made:
    """For whom a decision was made, and when."""

    person: str
    """Pseudonym."""
    at: float
    """Unix seconds."""


def respond(data: Any, status: int = 200) -> web.Response:
    """JSON out."""
    return web.Response(status=status, body=msgspec.json.encode(data), content_type="application/json")


def gpc_of(request: web.Request) -> bool:
    """Whether the person's browser asks for Global Privacy Control; `1` is the only value that means it."""
    return request.headers.get("Sec-GPC", "").strip() == "1"


async def enter(request: web.Request) -> tuple[Services, Caller]:
    """The services, and who asks; they may. Raises `Unauthenticated` where that was never asked."""
    caller = request.get(CALLER)
    if caller is None:
        raise Unauthenticated("send your API key as `Authorization: Bearer KEY`", code="key_missing")
    return request.app[SERVICES], caller


async def enter_person(request: web.Request) -> tuple[Services, Caller, Person]:
    """The same, with the person that the path names; their access log takes note. Raises `NotFound`."""
    services, caller = await enter(request)
    person = await caller.named(services, request.match_info["person"])
    noted(request, services, caller, person.pseudonym)
    return services, caller, person


async def enter_decision(request: web.Request) -> tuple[Services, Caller, str, Made]:
    """The same, with the decision that the path names and whose it is. Raises `NotFound` (`decision_unknown`)."""
    services, caller = await enter(request)
    decision = request.match_info["decision"]
    if not (len(decision) <= _MAX_DECISION and decision.isprintable()):
        raise unknown()
    made = Made(*await services.storage.decisions.made(decision, caller.app.id))
    if caller.holder is not None and caller.person != made.person:
        raise unknown()
    noted(request, services, caller, made.person)
    return services, caller, decision, made


def unknown() -> NotFound:
    """No such decision, or none of this caller's: the answer is the same."""
    return NotFound("there is no such decision", code="decision_unknown")


def noted(request: web.Request, services: Services, caller: Caller, pseudonym: str) -> None:
    """Put into a person's access log what is asked for, without any id."""
    resource = request.match_info.route.resource
    path = "" if resource is None else resource.canonical.rstrip("/")
    services.storage.access.note_access(pseudonym, caller.key, f"{request.method} {path}")


async def enter_operations(request: web.Request) -> tuple[Services, App | None]:
    """The services, and the app that a key with the scope `operate` may see; None for an operator: all of them."""
    if OPERATOR in request:
        return request.app[SERVICES], None
    services, caller = await enter(request)
    return services, caller.app
