"""Routes of what a person writes, and what comes of it."""

from __future__ import annotations

from aiohttp import web

from assistant.server.contract.wire import MessageBody, answer_json
from assistant.server.http.guard import body_of
from assistant.server.http.route import PERSON, Route, enter_person, respond
from assistant.server.routes.disclosure import gpc_of


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
)
