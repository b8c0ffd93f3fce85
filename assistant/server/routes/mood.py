"""Routes of the mood: what a person writes, what it was read as, and what they say of themself."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from assistant.errors import Invalid
from assistant.mood.timeline import DIMENSIONS, Correction
from assistant.server.contract.session import Text
from assistant.server.contract.shapes import show_answer, show_mood
from assistant.server.http.guard import body_of
from assistant.server.http.route import PERSON, Route, enter_person, gpc_of, respond
from assistant.tone.situation import Urgency

_CORRECTIONS = f"{PERSON}/mood/corrections"
_PAGE = 100
"""Moods in one page of the history."""

Scale = Annotated[float, Meta(ge=-1, le=1)]
EmotionName = Literal["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]


class MessageContext(msgspec.Struct):
    """What the app knows of the moment; other members are ignored."""

    urgency: Urgency = "normal"


class MessageBody(msgspec.Struct, forbid_unknown_fields=True):
    """Something a person wrote."""

    text: Text
    context: MessageContext = msgspec.field(default_factory=MessageContext)


class CorrectionBody(msgspec.Struct, forbid_unknown_fields=True):
    """How it is, in place of what was estimated; at least one. `{"stress": false}` says "I'm not stressed"."""

    stress: bool | None = None
    valence: Scale | None = None
    """Unpleasant (-1) to pleasant (1)."""
    arousal: Scale | None = None
    """Calm (-1) to activated (1)."""
    emotion: EmotionName | None = None


async def get_mood(request: web.Request) -> web.Response:
    """The current mood, or null."""
    services, caller, person = await enter_person(request)
    mood = await services.readings(caller.app, person).mood()
    return respond(None if mood is None else show_mood(mood))


async def post_message(request: web.Request) -> web.Response:
    """Mood, tone, recommendations and the way to help for something that a person wrote."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, MessageBody)
    conversation = services.conversation(caller.app, person, who=caller.key, gpc=gpc_of(request))
    answer = await conversation.read(body.text, urgency=body.context.urgency)
    return respond(show_answer(answer, conversation.disclosure()))


async def get_history(request: web.Request) -> web.Response:
    """The mood history, newest first. `?before=N` goes on where the page before ended."""
    services, _, person = await enter_person(request)
    before = request.query.get("before")
    if before is not None and not (before.isascii() and before.isdigit() and len(before) < 16):
        raise Invalid("`before` is the `next` of another page", code="page_invalid")
    page = await services.storage.moods.list_moods(
        person.pseudonym, before=None if before is None else int(before), limit=_PAGE
    )
    moods = [{"at": mood.at, **mood.reading} for mood in page]
    following = page[-1].seq if len(page) == _PAGE else None
    return respond({"moods": moods, "next": following, "kept_days": services.settings.mood_days})


async def post_correction(request: web.Request) -> web.Response:
    """Say how you are, in place of the estimate. Needs no consent, and makes no mood where there is none."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, CorrectionBody)
    now = services.clock()
    given = {dimension: getattr(body, dimension) for dimension in DIMENSIONS}
    said = [Correction(dimension, value, now) for dimension, value in given.items() if value is not None]
    if not said:
        raise Invalid(f"say one of {', '.join(DIMENSIONS)}")
    readings = services.readings(caller.app, person)
    await readings.correct(said)
    mood = await readings.mood()
    return respond({"mood": None if mood is None else show_mood(mood), **_shown(readings.corrections())})


async def get_corrections(request: web.Request) -> web.Response:
    """What the person said of themself in this session."""
    services, caller, person = await enter_person(request)
    return respond(_shown(services.readings(caller.app, person).corrections()))


async def delete_corrections(request: web.Request) -> web.Response:
    """Let the estimates count again: what the person said is forgotten."""
    services, caller, person = await enter_person(request)
    services.readings(caller.app, person).drop_corrections()
    return web.Response(status=204)


def _shown(corrections: Sequence[Correction]) -> dict[str, Any]:
    return {"corrections": [asdict(correction) for correction in corrections]}


ROUTES: tuple[Route, ...] = (
    Route("GET", f"{PERSON}/mood", get_mood, scope="infer"),
    Route("POST", f"{PERSON}/messages", post_message, MessageBody, scope="infer"),
    Route("GET", f"{PERSON}/mood/history", get_history, scope="infer"),
    Route("POST", _CORRECTIONS, post_correction, CorrectionBody, scope="infer"),
    Route("GET", _CORRECTIONS, get_corrections, scope="infer"),
    Route("DELETE", _CORRECTIONS, delete_corrections, scope="infer"),
)
