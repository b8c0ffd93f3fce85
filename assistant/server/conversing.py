"""Routes of what a person writes, and what comes of it."""

from __future__ import annotations

from aiohttp import web

from assistant.recommend.catalogue import Catalogue, check
from assistant.server.guard import body_of
from assistant.server.route import PERSON, Route, enter, enter_person, respond
from assistant.server.wire import MessageBody, RankBody, answer_json

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
    conversation = services.conversation(caller.app, person)
    return respond(answer_json(await conversation.read(body.text, urgency=body.context.urgency)))


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
    decision, slate = await services.conversation(caller.app, person).rank(body.slots, body.candidates)
    return respond({"decision": decision, "recommendations": [item.as_json() for item in slate]})


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/mood", get_mood, "The current mood, or null"),
    Route("POST", f"{PERSON}/messages", post_message, "Mood, tone and recommendations for a message", MessageBody),
    Route("PUT", "/v1/catalogue", put_catalogue, "Replace the catalogue", Catalogue),
    Route("POST", f"{PERSON}/rank", post_rank, "Rank the catalogue for a person", RankBody),
)
