"""Routes of the policy of tone: the one in use, an app's own, and how one is written."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from assistant.errors import Invalid, TooLarge
from assistant.server.http.route import Route, enter, respond
from assistant.tone.law import LAWS
from assistant.tone.render import NEVER
from assistant.tone.rules import MAX_BYTES, SHIPPED, Policy, check_policy, schema

_PATH = "/v1/tone-policy"
_SCHEMA = schema()


async def get_policy(request: web.Request) -> web.Response:
    """The tone policy in use, and the laws that come after it."""
    services, caller = await enter(request)
    return respond(_shown(await services.storage.policies.get(caller.app.id)))


async def put_policy(request: web.Request) -> web.Response:
    """Use the app's own tone policy from now on. As JSON, or as TOML with `Content-Type: application/toml`."""
    services, caller = await enter(request)
    policy = check_policy(await _body(request), own=True)
    await services.storage.policies.put(caller.app.id, policy)
    return respond(_shown(policy))


async def delete_policy(request: web.Request) -> web.Response:
    """Return to the shipped tone policy."""
    services, caller = await enter(request)
    await services.storage.policies.drop(caller.app.id)
    return respond(_shown(SHIPPED))


async def get_schema(request: web.Request) -> web.Response:
    """The JSON Schema of a tone policy."""
    return respond(_SCHEMA)


async def _body(request: web.Request) -> Any:
    data = bytearray()
    async for part in request.content.iter_any():
        data += part
        if len(data) > MAX_BYTES:
            raise TooLarge(f"a policy may have at most {MAX_BYTES} bytes")
    toml = request.content_type == "application/toml"
    try:
        return msgspec.toml.decode(bytes(data)) if toml else msgspec.json.decode(bytes(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Invalid(f"this is not {'TOML' if toml else 'JSON'}", code="invalid_json") from None


def _shown(policy: Policy) -> dict[str, Any]:
    return {
        "shipped": policy is SHIPPED,
        "policy": msgspec.to_builtins(policy),
        "laws": [
            {
                "code": law.code,
                "says": law.says,
                "keeps": {name: list(allowed) for name, allowed in law.keeps.items()},
                "never": [{"code": never, "says": NEVER[never]} for never in law.never],
            }
            for law in LAWS
        ],
    }


ROUTES: tuple[Route, ...] = (
    Route("GET", _PATH, get_policy, scope="catalogue"),
    Route("PUT", _PATH, put_policy, Policy, scope="catalogue"),
    Route("DELETE", _PATH, delete_policy, scope="catalogue"),
    Route("GET", f"{_PATH}/schema", get_schema, open=True),
)
