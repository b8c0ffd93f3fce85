"""Routes of what a person writes, and what comes of it."""

from __future__ import annotations

from aiohttp import web

from assistant.server.contract.bodies import MessageBody
from assistant.server.contract.shapes import show_answer, show_mood
from assistant.server.http.guard import body_of
from assistant.server.http.route import PERSON, Route, enter_person, gpc_of, respond


async def get_mood(request: web.Request) -> web.Response:
    """The current mood, or null."""
    services, caller, person = await enter_person(request)
    mood = await services.readings(caller.app, person).mood()
    return respond(None if mood is None else show_mood(mood))


async def post_message(request: web.Request) -> web.Response:
    """Mood, tone, recommendations and the way to help for something that a person wrote."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, MessageBody, services.settings.max_body_bytes)
    conversation = services.conversation(caller.app, person, who=caller.key, gpc=gpc_of(request))
    answer = await conversation.read(body.text, urgency=body.context.urgency)
    return respond(show_answer(answer, conversation.disclosure()))


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/mood", get_mood, scope="infer"),
    Route("POST", f"{PERSON}/messages", post_message, MessageBody, scope="infer"),
)
