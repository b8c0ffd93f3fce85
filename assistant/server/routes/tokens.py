"""Routes of person tokens: what a browser or device may hold in the place of the app's key."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from assistant.errors import Forbidden, Invalid
from assistant.profile.access import PERSON_SCOPES, TOKEN_SCOPES, Scope, format_scopes
from assistant.server.http.guard import body_of
from assistant.server.http.route import PERSON, Route, enter_person, respond
from assistant.server.http.signing import Token, sign
from assistant.server.live.watch import WATCH

_DAY_S = 86_400


class TokenBody(msgspec.Struct, forbid_unknown_fields=True):
    """What the token may do, and for how long."""

    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=8)] = msgspec.field(
        default_factory=lambda: sorted(TOKEN_SCOPES)
    )
    expires_in_s: Annotated[int, Meta(ge=1, le=_DAY_S)] = 900
    """Seconds."""


async def post_token(request: web.Request) -> web.Response:
    """A token with which a person's browser or device can call for that person alone."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, TokenBody, services.settings.max_body_bytes)
    scopes = frozenset(body.scopes)
    if not scopes <= PERSON_SCOPES:
        raise Invalid(f"a person's token may have {format_scopes(PERSON_SCOPES)}", code="scope_unknown")
    if not scopes <= caller.scopes:
        raise Forbidden("this key can't give what it doesn't have", code="scope_missing")
    now = services.clock()
    _, epoch = await services.storage.people.find_holder(caller.app, person.pseudonym)
    token = Token(services.new_id(), caller.app.id, person.pseudonym, scopes, now, now + body.expires_in_s, epoch)
    answer = respond(
        {
            "token": sign(token, services.token_key),
            "id": token.id,
            "scopes": format_scopes(scopes).split(),
            "expires_in_s": body.expires_in_s,
        },
        201,
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def delete_tokens(request: web.Request) -> web.Response:
    """Make every token of a person void. Live streams that a token opened end at once."""
    services, _, person = await enter_person(request)
    await services.storage.people.void_tokens(person)
    request.app[WATCH].look_soon()
    return web.Response(status=204)


ROUTES: tuple[Route, ...] = (
    Route("POST", f"{PERSON}/tokens", post_token, TokenBody, scope="tokens"),
    Route("DELETE", f"{PERSON}/tokens", delete_tokens, scope="tokens"),
)
