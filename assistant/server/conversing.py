"""Routes of what a person writes, and what comes of it."""

from __future__ import annotations

from aiohttp import web

from assistant.recommend.catalogue import Catalogue, check
from assistant.server.disclosure import gpc_of
from assistant.server.guard import body_of
from assistant.server.route import PERSON, Route, enter, enter_person, respond
from assistant.server.wire import MessageBody, RankBody, answer_json, limits_json

_MAX_CATALOGUE = 16 * 1024 * 1024


async def get_mood(request: web.Request) -> web.Response:
    """The current mood, or null."""
    services, caller, person = await enter_person(request)
    mood = await services.conversation(caller.app, person).mood()
    return respond(None if mood is None else mood.as_json())


async def post_message(request: web.Request) -> web.Response:
    """Something a person wrote; back come the mood, the tone, the recommendations and the way to help."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, MessageBody, services.settings.max_body_bytes)
    conversation = services.conversation(caller.app, person, who=caller.key, gpc=gpc_of(request))
    answer = answer_json(await conversation.read(body.text, urgency=body.context.urgency))
    return respond({**answer, "disclosure": conversation.disclosure()})


async def put_catalogue(request: web.Request) -> web.Response:
    """Replace what the app can recommend."""
    services, caller = await enter(request)
    catalogue = await body_of(request, Catalogue, _MAX_CATALOGUE)
    check(catalogue)
    await services.catalogues.put(caller.app.id, catalogue)
    return respond({"version": catalogue.version, "items": len(catalogue.items)})


async def post_rank(request: web.Request) -> web.Response:
    """Rank the catalogue for a person, now."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, RankBody, services.settings.max_body_bytes)
    conversation = services.conversation(caller.app, person, who=caller.key, gpc=gpc_of(request))
    decision, slate = await conversation.rank(body.slots, body.candidates)
    offers = [item.as_json() for item in slate]
    return respond({"decision": decision, "recommendations": offers, **limits_json(await conversation.limits())})


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/mood", get_mood, "The current mood, or null", scope="infer"),
    Route(
        "POST",
        f"{PERSON}/messages",
        post_message,
        "Mood, tone and recommendations for a message",
        MessageBody,
        scope="infer",
    ),
    Route("PUT", "/v1/catalogue", put_catalogue, "Replace the catalogue", Catalogue, scope="catalogue"),
    Route("POST", f"{PERSON}/rank", post_rank, "Rank the catalogue for a person", RankBody, scope="infer"),
)
