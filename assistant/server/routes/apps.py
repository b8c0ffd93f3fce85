"""Routes of what an app sets for itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from assistant.profile.attribute_schema import check_schema
from assistant.profile.person import App
from assistant.server.http.guard import body_of
from assistant.server.http.route import Route, enter, respond


class SchemaBody(msgspec.Struct, forbid_unknown_fields=True):
    """Further attributes of a profile: `properties` with a small JSON Schema for each, by name."""

    properties: dict[str, Any]
    type: str = "object"
    additionalProperties: bool = False  # noqa: N815


Place = Annotated[str, Meta(pattern="^[A-Z]{2}(-[A-Z0-9]{1,3})?$")]
"""A country or a part of one, by ISO 3166."""


class AppBody(msgspec.Struct, forbid_unknown_fields=True):
    """What is left out stays."""

    jurisdiction: Place | UnsetType | None = UNSET
    """Where the app is held to account, besides where its people are; null: not told."""
    address: Annotated[str, Meta(min_length=1, max_length=300)] | UnsetType | None = UNSET
    """Postal address of whoever answers for the app; it stands on receipts."""
    contact: Annotated[str, Meta(min_length=1, max_length=300)] | UnsetType | None = UNSET
    """How a person reaches them about their data; it stands on receipts."""
    stored_in: Annotated[tuple[Place, ...], Meta(max_length=20)] | UnsetType = UNSET
    """Where the data is kept; it stands on receipts."""
    require_person: bool | UnsetType = UNSET
    """Whether only the person themself may grant, with their own token."""


async def get_schema(request: web.Request) -> web.Response:
    """The attributes that the app adds to profiles."""
    _, caller = await enter(request)
    return respond(_schema(caller.app))


async def put_schema(request: web.Request) -> web.Response:
    """Replace the attributes that the app adds to profiles. Those that exist stay until they change."""
    services, caller = await enter(request)
    body = await body_of(request, SchemaBody)
    check_schema(body.properties)
    settings = replace(caller.app.settings, attributes=body.properties)
    return respond(_schema(await services.storage.apps.change_settings(caller.app, settings)))


async def get_app(request: web.Request) -> web.Response:
    """The app, its context of use and what it set."""
    _, caller = await enter(request)
    return respond(_shown(caller.app))


async def patch_app(request: web.Request) -> web.Response:
    """Change what the app sets for itself. Its context of use is the operator's to change."""
    services, caller = await enter(request)
    body = await body_of(request, AppBody)
    given = {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}
    settings = replace(caller.app.settings, **given)
    return respond(_shown(await services.storage.apps.change_settings(caller.app, settings)))


def _schema(app: App) -> dict[str, Any]:
    return {"type": "object", "properties": app.settings.attributes, "additionalProperties": False}


def _shown(app: App) -> dict[str, Any]:
    return {
        "name": app.name,
        "context": app.context,
        **{name: getattr(app.settings, name) for name in AppBody.__struct_fields__},
        "exceptions": [
            {"id": e.id, "context": e.context, "reason": e.reason, "expires_at": e.expires_at}
            for e in app.exemptions
        ],
    }


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/profile-schema", get_schema, scope="catalogue"),
    Route("PUT", "/v1/profile-schema", put_schema, SchemaBody, scope="catalogue"),
    Route("GET", "/v1/app", get_app, scope="catalogue"),
    Route("PATCH", "/v1/app", patch_app, AppBody, scope="consent"),
)
