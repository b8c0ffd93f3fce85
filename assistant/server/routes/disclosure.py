"""Routes that tell what holds for a person, who looked, and that Global Privacy Control is obeyed."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

from assistant.consent.jurisdiction import CONSENT_AGES, UNKNOWN_AGE
from assistant.consent.legal_rules import DISCLOSE_EVERY_S, DUTIES, PROHIBITIONS, explain_policy
from assistant.errors import Invalid
from assistant.profile.person import subject
from assistant.server.http.route import PERSON, Route, enter, enter_person, respond

GPC_SINCE = "2026-11-22"
"""When Global Privacy Control began to be obeyed."""
_MOST = 1_000


async def get_gpc(request: web.Request) -> web.Response:
    """Global Privacy Control is obeyed."""
    return respond({"gpc": True, "lastUpdate": GPC_SINCE})


async def get_policy(request: web.Request) -> web.Response:
    """Every rule of consent: where it holds, and where it comes from."""
    await enter(request)
    return respond(
        {
            "refusals": [asdict(rule) for rule in PROHIBITIONS],
            "duties": [asdict(duty) for duty in DUTIES],
            "disclose_every_s": DISCLOSE_EVERY_S,
            "consent_ages": {
                **{where: {"years": years, "source": source} for where, (years, source) in CONSENT_AGES.items()},
                "*": {"years": UNKNOWN_AGE, "source": "where nothing else is known"},
            },
        }
    )


async def get_person_policy(request: web.Request) -> web.Response:
    """The rules of consent that hold for a person."""
    services, caller, person = await enter_person(request)
    return respond(explain_policy(subject(caller.app, person), services.clock()))


async def get_access(request: web.Request) -> web.Response:
    """Who read or used what is known of a person, newest first. Page with `?before=` and `?limit=`."""
    services, _, person = await enter_person(request)
    before, limit = _number(request, "before"), _number(request, "limit")
    found = await services.storage.access.list_accesses(
        person.pseudonym, before=before, limit=min(limit or 100, _MOST)
    )
    accesses: list[dict[str, Any]] = [asdict(access) for access in found]
    return respond({"person": person.id, "accesses": accesses, "next": found[-1].seq if found else None})


def _number(request: web.Request, name: str) -> int | None:
    given = request.query.get(name)
    if given is None:
        return None
    if not (given.isascii() and given.isdigit() and 0 < len(given) < 16 and int(given) > 0):
        raise Invalid(f"`{name}` is a whole number greater than 0")
    return int(given)


ROUTES: tuple[Route, ...] = (
    Route("GET", "/.well-known/gpc.json", get_gpc, open=True),
    Route("GET", "/v1/policy", get_policy, scope="consent"),
    Route("GET", f"{PERSON}/policy", get_person_policy, scope="consent"),
    Route("GET", f"{PERSON}/access", get_access, scope="rights"),
)
