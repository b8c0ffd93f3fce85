"""The API's own description, made from the routes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from assistant.error_codes import SERVER_CODES
from assistant.errors import AssistantError
from assistant.profile.access import PERSON_SCOPES, SCOPES, format_scopes
from assistant.server.http.guard import Problem, status_of_family
from assistant.server.http.openai import ChatFailure
from assistant.server.http.route import Route
from assistant.version import __version__


def describe(routes: Sequence[Route]) -> dict[str, Any]:
    """An OpenAPI 3.1 document."""
    routes = [route for route in routes if not route.socket]
    shapes: list[type[Any]] = [Problem, ChatFailure, *(route.body for route in routes if route.body is not None)]
    schemas, components = msgspec.json.schema_components(shapes, ref_template="#/components/schemas/{name}")
    components["Problem"]["properties"]["code"] |= _CODES
    schema_of = dict(zip(shapes, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schema_of)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Attune",
            "version": __version__,
            "description": "An emotion-aware assistant backend that asks first. Live audio goes to `/v1/realtime`.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"key": _KEY}},
    }


def _operation(route: Route, schema_of: dict[type[Any], dict[str, Any]]) -> dict[str, Any]:
    kind, failure = ("application/json", ChatFailure) if route.openai else ("application/problem+json", Problem)
    operation: dict[str, Any] = {
        "operationId": getattr(route.handler, "__name__", route.path),
        "summary": (route.handler.__doc__ or "").partition(".")[0].partition("\n")[0],
        "responses": {
            "2XX": {"description": "Done", "content": {"application/json": {}}},
            "default": {
                "description": "What went wrong, with a stable `code`",
                "content": {kind: {"schema": schema_of[failure]}},
            },
        },
    }
    if names := re.findall(r"{(\w+)}", route.path):
        path = {"in": "path", "required": True, "schema": {"type": "string"}}
        operation["parameters"] = [{"name": name, **path} for name in names]
    if route.body is not None:
        body = {"multipart/form-data" if route.form else "application/json": {"schema": schema_of[route.body]}}
        operation["requestBody"] = {"required": True, "content": body}
    operation["security"] = [] if route.open else [{"key": [route.scope]}]
    if not route.open:
        operation["description"] = f"Needs the scope `{route.scope}`: {SCOPES[route.scope]}."
    return operation


_KEY: dict[str, Any] = {
    "type": "http",
    "scheme": "bearer",
    "description": "An app's API key; a person's token, for that person alone and with the scopes "
    f"{format_scopes(PERSON_SCOPES)} at most; or for `operate` a token of the operators' identity provider. "
    + " ".join(f"`{scope}`: {means}." for scope, means in SCOPES.items()),
}
_CODES = {
    "description": "Stable. More codes may be added later.",
    "x-error-codes": [
        {
            "code": each.code,
            "status": status_of_family(each.family),
            "meaning": each.meaning,
            "remedy": each.remedy,
        }
        for each in SERVER_CODES
        if each.family is not AssistantError
    ],
}
