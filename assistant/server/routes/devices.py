"""Routes of the devices on which a person uses the app, and of the tokens that a device holds instead of a key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta

from assistant.errors import Forbidden, Invalid
from assistant.profile.access import PERSON_SCOPES, TOKEN_SCOPES, Scope, format_scopes
from assistant.profile.person import Device, DeviceKind
from assistant.server.http.caller import owner_of
from assistant.server.http.guard import body_of, checked_id
from assistant.server.http.route import PERSON, Route, enter, enter_person, noted, respond
from assistant.server.http.signing import Token, sign
from assistant.server.live.streams import WATCH

_DEVICE = f"{PERSON}/devices/{{device}}"
_DAY_S = 86_400


class DeviceBody(msgspec.Struct, forbid_unknown_fields=True):
    """A device of a person."""

    kind: DeviceKind = "other"
    name: Annotated[str, Meta(max_length=100)] = ""


class TokenBody(msgspec.Struct, forbid_unknown_fields=True):
    """What the token may do, and for how long."""

    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=8)] = msgspec.field(
        default_factory=lambda: sorted(TOKEN_SCOPES)
    )
    expires_in_s: Annotated[int, Meta(ge=1, le=_DAY_S)] = 900
    """Seconds."""


async def put_device(request: web.Request) -> web.Response:
    """Link a device to a person, or change what is known of it."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, DeviceBody)
    device = Device(checked_id(request.match_info["device"]), body.kind, body.name, services.clock())
    new = await services.storage.devices.link(caller.app, person, device)
    return respond(asdict(device), 201 if new else 200)


async def get_devices(request: web.Request) -> web.Response:
    """A person's devices."""
    services, _, person = await enter_person(request)
    devices = await services.storage.devices.list_devices(person.pseudonym)
    return respond({"person": person.id, "devices": [asdict(device) for device in devices]})


async def delete_device(request: web.Request) -> web.Response:
    """Unlink a device. Nothing else about the person changes."""
    services, caller, person = await enter_person(request)
    await services.storage.devices.unlink(caller.app, person, checked_id(request.match_info["device"]))
    return web.Response(status=204)


async def get_owner(request: web.Request) -> web.Response:
    """Whose device it is. This is what a speaker asks that knows nothing but itself."""
    services, caller = await enter(request)
    person = await owner_of(services, caller, request.match_info["device"])
    noted(request, services, caller, person.pseudonym)
    return respond({"person": person.id})


async def post_token(request: web.Request) -> web.Response:
    """A token with which a person's browser or device can call for that person alone."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, TokenBody)
    scopes = frozenset(body.scopes)
    if not scopes <= PERSON_SCOPES:
        raise Invalid(f"a person's token may have {format_scopes(PERSON_SCOPES)}", code="scope_unknown")
    if not scopes <= caller.scopes:
        raise Forbidden("this key can't give what it doesn't have", code="scope_missing")
    now = services.clock()
    _, epoch = await services.storage.people.find_holder(caller.app, person.pseudonym)
    token = Token(services.new_id(), caller.app.id, person.pseudonym, scopes, now, now + body.expires_in_s, epoch)
    signed, words = sign(token, services.token_key), format_scopes(scopes).split()
    answer = respond({"token": signed, "id": token.id, "scopes": words, "expires_in_s": body.expires_in_s}, 201)
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def delete_tokens(request: web.Request) -> web.Response:
    """Make every token of a person void. Live streams that a token opened end at once."""
    services, _, person = await enter_person(request)
    await services.storage.people.void_tokens(person)
    request.app[WATCH].look_soon()
    return web.Response(status=204)


ROUTES: tuple[Route, ...] = (
    Route("PUT", _DEVICE, put_device, DeviceBody),
    Route("GET", f"{PERSON}/devices", get_devices),
    Route("DELETE", _DEVICE, delete_device),
    Route("GET", "/v1/devices/{device}", get_owner),
    Route("POST", f"{PERSON}/tokens", post_token, TokenBody, scope="tokens"),
    Route("DELETE", f"{PERSON}/tokens", delete_tokens, scope="tokens"),
)
