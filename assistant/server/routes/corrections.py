"""Routes by which a person says themself how they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from assistant.errors import Invalid
from assistant.mood.timeline import DIMENSIONS, Correction
from assistant.server.contract.shapes import show_mood
from assistant.server.http.guard import body_of
from assistant.server.http.route import PERSON, Route, enter_person, respond

_PATH = f"{PERSON}/mood/corrections"

Scale = Annotated[float, Meta(ge=-1, le=1)]
EmotionName = Literal["anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise"]


class CorrectionBody(msgspec.Struct, forbid_unknown_fields=True):
    """How it is, in place of what was estimated; at least one. `{"stress": false}` says "I'm not stressed"."""

    stress: bool | None = None
    valence: Scale | None = None
    """Unpleasant (-1) to pleasant (1)."""
    arousal: Scale | None = None
    """Calm (-1) to activated (1)."""
    emotion: EmotionName | None = None


async def post_correction(request: web.Request) -> web.Response:
    """Say how you are, in place of the estimate. Needs no consent, and makes no mood where there is none."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, CorrectionBody, services.settings.max_body_bytes)
    now = services.clock()
    said = [
        Correction(dimension, value, now)
        for dimension in DIMENSIONS
        if (value := getattr(body, dimension)) is not None
    ]
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
    Route("POST", _PATH, post_correction, CorrectionBody, scope="infer"),
    Route("GET", _PATH, get_corrections, scope="infer"),
    Route("DELETE", _PATH, delete_corrections, scope="infer"),
)
