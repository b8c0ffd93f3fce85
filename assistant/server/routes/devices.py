"""Routes of the devices on which a person uses the app."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import Meta

from assistant.profile.person import Device, DeviceKind
from assistant.server.http.caller import owner_of
from assistant.server.http.guard import body_of, checked_id
from assistant.server.http.route import PERSON, Route, enter, enter_person, noted, respond

_DEVICE = f"{PERSON}/devices/{{device}}"


class DeviceBody(msgspec.Struct, forbid_unknown_fields=True):
    """A device of a person."""

    kind: DeviceKind = "other"
    name: Annotated[str, Meta(max_length=100)] = ""


async def put_device(request: web.Request) -> web.Response:
    """Link a device to a person, or change what is known of it."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, DeviceBody, services.settings.max_body_bytes)
    device = Device(checked_id(request.match_info["device"]), body.kind, body.name, services.clock())
    new = await services.storage.devices.link(caller.app, person, device)
    return respond(asdict(device), 201 if new else 200)


async def get_devices(request: web.Request) -> web.Response:
    """A person's devices."""
    services, _, person = await enter_person(request)
    devices: list[dict[str, Any]] = [
        asdict(device) for device in await services.storage.devices.list_devices(person.pseudonym)
    ]
    return respond({"person": person.id, "devices": devices})


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


ROUTES: tuple[Route, ...] = (
    Route("PUT", _DEVICE, put_device, DeviceBody),
    Route("GET", f"{PERSON}/devices", get_devices),
    Route("DELETE", _DEVICE, delete_device),
    Route("GET", "/v1/devices/{device}", get_owner),
)
