"""Routes of recommendations: the catalogue, ranking for people, what came of it, and why."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any, Literal

import msgspec
from aiohttp import web
from msgspec import Meta

from assistant.errors import Invalid
from assistant.profile.person import Person
from assistant.recommend.attributes import OF_CONTEXTS, check_names
from assistant.recommend.catalogue import MAX_ITEM_ID, SHOWN_FAULTS, Catalogue, check, faults
from assistant.recommend.feedback import TABLE, Kind
from assistant.recommend.moment import SEARCHES, Activity, Moment, Place
from assistant.recommend.ranking import RankRequest
from assistant.recommend.slate import Knobs
from assistant.server.contract.shapes import show_item, show_limits
from assistant.server.http.caller import Caller
from assistant.server.http.guard import body_of, converted, header_of
from assistant.server.http.route import (
    DECISION,
    PERSON,
    Route,
    enter,
    enter_decision,
    enter_person,
    gpc_of,
    noted,
    respond,
)
from assistant.services import Services

_MAX_CATALOGUE = 64 * 1024 * 1024
_MAX_KEY = 512
"""Characters of an idempotency key."""

Name = Annotated[str, Meta(min_length=1, max_length=128)]
Share = Annotated[float, Meta(ge=0, le=1)]


class RankContext(msgspec.Struct, forbid_unknown_fields=True):
    """The moment, as far as the app knows it. It never holds a mood: that comes from a granted reading."""

    hour: Annotated[float, Meta(ge=0, lt=24)] | None = None
    weekday: Annotated[int, Meta(ge=0, le=6)] | None = None
    place: Place | None = None
    activity: Activity | None = None
    searches: Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=SEARCHES)] = []


class RankBody(msgspec.Struct, forbid_unknown_fields=True):
    """What to rank: the whole catalogue, or only `candidates`."""

    slots: Annotated[int, Meta(ge=1, le=100)] = 5
    candidates: Annotated[list[str], Meta(max_length=10_000)] | None = None
    context: dict[str, Any] = {}
    """See `RankContext`."""
    activate: Literal["now", "later"] = "now"
    """`later`: it is ranked ahead, and counts only after `POST /v1/decisions/{decision}/activate`."""
    offers: bool = True
    """Commercial items may be among them."""
    serendipity: Share = 0.0
    """0: the best scores; towards 1: ever less like each other. Its price is in the answer."""
    exploration_budget: Share | None = None
    """Most expected score that the first place may lose to chance."""


class BatchRank(RankBody):
    """One of a batch."""

    person: Name = msgspec.field(default="")


class BatchBody(msgspec.Struct, forbid_unknown_fields=True):
    """Several rankings at once; each has its own answer."""

    requests: Annotated[list[BatchRank], Meta(min_length=1, max_length=100)]


class RewardBody(msgspec.Struct, forbid_unknown_fields=True):
    """What came of one item of a decision."""

    item: Annotated[str, Meta(min_length=1, max_length=MAX_ITEM_ID)]
    kind: Kind
    value: float = 1.0
    """A click 1, a share finished, seconds, or stars."""
    key: Annotated[str, Meta(min_length=1, max_length=_MAX_KEY)] | None = None
    """Idempotency key; the header `Idempotency-Key` does too. By default one reward of each kind for each item."""


async def put_catalogue(request: web.Request) -> web.Response:
    """Replace what the app can recommend."""
    services, caller = await enter(request)
    catalogue = await body_of(request, Catalogue, _MAX_CATALOGUE)
    check(catalogue)
    await services.storage.catalogues.put(caller.app.id, catalogue)
    return respond({"version": catalogue.version, "items": len(catalogue.items)})


async def get_catalogue(request: web.Request) -> web.Response:
    """Which catalogue is in use."""
    services, caller = await enter(request)
    catalogue = await services.storage.catalogues.get(caller.app.id)
    now = services.clock()
    table = await services.recommender.item_table(caller.app.id)
    available = (table.available_from <= now) & (now < table.available_until)
    return respond(
        {
            "version": catalogue.version,
            "items": len(catalogue.items),
            "available": int(available.sum()),
            "commercial": int(table.commercial.sum()),
            "kinds": Counter(item.kind for item in catalogue.items),
        }
    )


async def validate_catalogue(request: web.Request) -> web.Response:
    """Everything that is wrong with a catalogue; it is not stored."""
    await enter(request)
    found = list(faults(await body_of(request, Catalogue, _MAX_CATALOGUE)))
    return respond({"faults": len(found), "first": [asdict(fault) for fault in found[:SHOWN_FAULTS]]})


async def post_rank(request: web.Request) -> web.Response:
    """Rank the catalogue for a person, now."""
    services, caller, person = await enter_person(request)
    body = await body_of(request, RankBody)
    return respond(await _ranked(request, services, caller, person, body))


async def post_batch(request: web.Request) -> web.Response:
    """Rank the catalogue for several people at once, each by their own consent."""
    services, caller = await enter(request)
    body = await body_of(request, BatchBody)
    people = [await caller.named(services, rank.person) for rank in body.requests]
    for rank in body.requests:
        _request(rank)  # all are checked before anything is decided
    results = []
    for person, rank in zip(people, body.requests, strict=True):
        noted(request, services, caller, person.pseudonym)
        results.append({"person": person.id, **await _ranked(request, services, caller, person, rank)})
    return respond({"results": results})


async def post_reward(request: web.Request) -> web.Response:
    """Take a reward. It is durable once this is answered; a second one with the same key doesn't count."""
    services, caller, decision, made = await enter_decision(request)
    body = await body_of(request, RewardBody)
    key = body.key or header_of(request, "Idempotency-Key") or f"{body.kind} {body.item}"
    if len(key) > _MAX_KEY:
        raise Invalid(f"an idempotency key has at most {_MAX_KEY} characters", code="key_invalid")
    standing = await services.storage.ledger.standing(made.person)
    limited, now = gpc_of(request) or standing.restricted or standing.objected, services.clock()
    reward, new = await services.recommender.reward(
        caller.app.id, decision, body.item, body.kind, body.value, key=key, now=now, limited=limited
    )
    return respond({"reward": reward, "counted": new, "rule": TABLE[body.kind].says}, 201 if new else 200)


async def post_activate(request: web.Request) -> web.Response:
    """What was ranked ahead is shown now."""
    services, caller, decision, _ = await enter_decision(request)
    await services.recommender.activate(caller.app.id, decision)
    return respond({"decision": decision, "active": True})


def _request(body: RankBody) -> RankRequest:
    """Raises `Invalid`: `attribute_mood` and its like for what a context may not hold."""
    check_names(body.context, OF_CONTEXTS, "a context")
    said = converted(body.context, RankContext)
    moment = Moment(said.hour, said.weekday, said.place, said.activity, tuple(said.searches))
    knobs = Knobs(serendipity=body.serendipity, exploration_budget=body.exploration_budget)
    active = body.activate == "now"
    return RankRequest(body.slots, body.candidates, moment, offers=body.offers, active=active, knobs=knobs)


async def _ranked(
    request: web.Request, services: Services, caller: Caller, person: Person, body: RankBody
) -> dict[str, Any]:
    conversation = services.conversation(caller.app, person, who=caller.key, gpc=gpc_of(request))
    selection = await conversation.choose(_request(body))
    kept, held = selection.chosen.decision, show_limits(selection.limits)
    answer: dict[str, Any] = {
        "decision": selection.decision,
        "recommendations": [show_item(item) for item in selection.chosen.ranking.slate],
        "gpc": held.gpc,
        "limits": held.limits,
    }
    if kept.diversity is not None:
        answer["diversity"] = kept.diversity
    if kept.without_mood is not None:
        answer["without_mood"] = kept.without_mood
    return answer


ROUTES: tuple[Route, ...] = (
    Route("PUT", "/v1/catalogue", put_catalogue, Catalogue, scope="catalogue"),
    Route("GET", "/v1/catalogue", get_catalogue, scope="catalogue"),
    Route("POST", "/v1/catalogue/validate", validate_catalogue, Catalogue, scope="catalogue"),
    Route("POST", f"{PERSON}/rank", post_rank, RankBody, scope="infer"),
    Route("POST", "/v1/rank", post_batch, BatchBody, scope="infer"),
    Route("POST", f"{DECISION}/reward", post_reward, RewardBody, scope="infer", personal=True),
    Route("POST", f"{DECISION}/activate", post_activate, scope="infer", personal=True),
)
