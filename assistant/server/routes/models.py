"""The language models that answer a chat, and beside them the readers that this server loaded."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from assistant.chat.embedded import MODEL
from assistant.errors import NotFound, Unavailable
from assistant.server.http.route import Route, enter, respond
from assistant.services import Services


async def get_models(request: web.Request) -> web.Response:
    """Chat models, and beside them the readers that this server loaded."""
    services, _ = await enter(request)
    readers = [
        {
            "id": card.name,
            "kind": card.kind,
            "version": card.data.get("version"),
            "licence": card.licence,
            "sha256": card.sha256,
        }
        for card in services.readers
    ]
    return respond({"object": "list", "data": await _models(services), "readers": readers})


async def get_model(request: web.Request) -> web.Response:
    """One chat model."""
    services, _ = await enter(request)
    name = request.match_info["model"].removesuffix("/")
    for model in await _models(services):
        if isinstance(model, dict) and model.get("id") == name:
            return respond(model)
    about = "there is no such model; `/v1/models` lists those that there are"
    raise NotFound(about, code="model_not_found", param="model")


async def _models(services: Services) -> list[Any]:
    named = services.settings.upstream_model or (MODEL if services.upstream is None else "")
    if named or services.upstream is None:
        owner = "attune" if services.upstream is None else "upstream"
        return [{"id": named, "object": "model", "created": 0, "owned_by": owner}]
    try:
        return msgspec.json.decode(await services.upstream.models(), type=_Listed).data
    except msgspec.DecodeError:
        raise Unavailable("the language model's server lists no models", code="upstream_invalid") from None


class _Listed(msgspec.Struct):
    data: list[Any]


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/models", get_models, scope="infer", openai=True),
    Route("GET", "/v1/models/{model}", get_model, scope="infer", openai=True),
)
