"""Routes of measures: what recommendations came to, who was shown what, and how varied one person's slates are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from aiohttp import web

from assistant.bootstrap import Figure
from assistant.errors import Invalid
from assistant.profile.person import App, Profile
from assistant.recommend import bubble
from assistant.recommend.measures import fairness, rates
from assistant.recommend.measures.fairness import Compared, GroupExposure
from assistant.recommend.measures.rates import Sample, Shown
from assistant.server.contract.shapes import show_limits
from assistant.server.http.route import PERSON, Route, enter, enter_person, gpc_of, respond
from assistant.services import Services
from assistant.store.aggregates import TOO_FEW, publishable

DAYS = 30
_MOST_DAYS = 365
_DAY_S = 86_400.0
_DECLARED = ("language", "country", "age_band", "formality")
_GROUPED = ("string", "boolean", "integer")
"""Types of an app's own attributes by which people can be grouped."""


async def get_report(request: web.Request) -> web.Response:
    """What recommendations and the mood are worth. Where the mood earns nothing, the advice is to turn it off."""
    services, caller = await enter(request)
    sample, days = await _sample(request, services, caller.app)
    numbers = (await services.storage.aggregates.count_by_app(caller.app.id))[0]
    return respond(
        {
            **_read(sample, days),
            **await asyncio.to_thread(came, sample),
            "opt_out_rate": numbers.get("opt_out_rate"),
            "correction_rate": numbers.get("correction_rate"),
            "notes": [
                "A rate is the share of decisions shown that have such a reward; intervals are 95 %, over people.",
                f"Figures of fewer than {rates.FEWEST} people are null. So are opt_out_rate and correction_rate "
                f"where they would tell of {TOO_FEW} people or fewer: they are of all people, at any time.",
            ],
        }
    )


def came(sample: Sample) -> dict[str, Any]:
    """What came of the slates of a sample, as the report tells it."""
    worth, by_arm = rates.compare_arms(sample.shown), rates.split_by_arm(sample.shown)
    enough = worth.verdict != "insufficient evidence"
    return {
        "decisions": len(sample.shown),
        "rewards": sum(len(one.came) for one in sample.shown),
        **_rates(sample.shown),
        "arms": {arm: _rates(shown) for arm, shown in by_arm.items()},
        "mood": {
            "people": {arm: publishable(count) for arm, count in worth.people.items()},
            "reward": worth.reward if enough else None,
            "uplift": worth.figure.value if enough else None,
            "low": worth.figure.low if enough else None,
            "high": worth.figure.high if enough else None,
            "verdict": worth.verdict,
            "advice": worth.advice,
        },
    }


async def get_fairness(request: web.Request) -> web.Response:
    """Who was shown what, by a group that people declared. No group is inferred."""
    services, caller = await enter(request)
    name = request.query.get("by", "")
    of = grouping(caller.app, name)
    sample, days = await _sample(request, services, caller.app)
    declared = await services.storage.exposures.read_declared({one.person for one in sample.shown}, of)
    groups = await asyncio.to_thread(fairness.compare_groups, sample.shown, declared)
    shown = [one for one in groups if one.people > TOO_FEW and (one.offers or one.people < fairness.FEWEST)]
    return respond(
        {
            "by": name,
            **_read(sample, days),
            "groups": [_group(group) for group in shown],
            "not_shown": len(groups) - len(shown),
            "verdicts": fairness.SAYS,
            "notes": [
                "Groups are what people or their app declared; the mood is no part of this.",
                f"A group of fewer than {fairness.FEWEST} people enters no number. not_shown counts groups "
                f"of {TOO_FEW} people or fewer, which aren't named, and those beyond the {fairness.GROUPS} "
                "largest.",
                "Intervals are 95 %, over people: one person's many slates are what one person was shown.",
            ],
        }
    )


async def get_exposure(request: web.Request) -> web.Response:
    """How varied what a person was shown lately is, and whether the limit on filter bubbles acts."""
    services, caller, person = await enter_person(request)
    conversation = services.conversation(caller.app, person, gpc=gpc_of(request))
    held = await conversation.limits()
    words = ["Nothing that you were shown before is looked at, as you asked."]
    said: dict[str, Any] = {"measured": None, "words": words, "acts": False, "because": None}
    if not held:
        now = services.clock()
        seen = await services.recommender.bubble(caller.app.id, person.pseudonym, now)
        rounded = {name: round(getattr(seen, name), 4) for name in ("coverage", "entropy", "drift")}
        measured = asdict(seen) | rounded
        said = {"measured": measured, "words": seen.words, "acts": seen.acts, "because": seen.passed}
    limit = {
        "items": bubble.LATELY,
        "fewest": bubble.FEWEST,
        "entropy": bubble.NARROW,
        "drift": bubble.DRIFTING,
        "serendipity": bubble.OPENING,
    }
    shown = show_limits(held)
    return respond({"person": person.id, **said, "limit": limit, "gpc": shown.gpc, "limits": shown.limits})


def grouping(app: App, name: str) -> Callable[[Profile], str | None]:
    """What people are grouped by. Raises `Invalid` (`group_invalid`)."""
    if name in _DECLARED:
        return lambda profile: getattr(profile, name)
    schema = app.settings.attributes.get(name)
    if schema is None or schema["type"] not in _GROUPED:
        own = [known for known, one in sorted(app.settings.attributes.items()) if one["type"] in _GROUPED]
        raise Invalid(f"`by` is one of {', '.join((*_DECLARED, *own))}", code="group_invalid")

    def of(profile: Profile) -> str | None:
        value = profile.attributes.get(name)
        return None if value is None else str(value).lower() if isinstance(value, bool) else str(value)

    return of


async def _sample(request: web.Request, services: Services, app: App) -> tuple[Sample, int]:
    asked = request.query.get("days", str(DAYS))
    if not (asked.isascii() and asked.isdigit() and len(asked) < 4 and 1 <= int(asked) <= _MOST_DAYS):
        raise Invalid(f"`days` is a whole number from 1 to {_MOST_DAYS}", code="days_invalid")
    return await services.storage.exposures.sample(app.id, services.clock() - int(asked) * _DAY_S), int(asked)


def _read(sample: Sample, days: int) -> dict[str, Any]:
    oldest = min((one.at for one in sample.shown), default=None)
    return {
        "days": days,
        "read": {"decisions": sample.read, "whole": sample.whole, "since": sample.since, "oldest_shown": oldest},
    }


def _rates(shown: Sequence[Shown]) -> dict[str, Any]:
    found = rates.compute_rates(shown)
    return {
        "people": publishable(found.people),
        "rates": {kind: _figure(figure) for kind, figure in found.kinds.items()} or None,
        "mean_reward": _figure(found.reward),
    }


def _group(group: GroupExposure) -> dict[str, Any]:
    return {
        "group": group.name,
        "people": publishable(group.people),
        "verdict": "insufficient evidence" if group.offers is None else "measured",
        "offers": _compared(group.offers),
        "reward": _compared(group.reward),
        "kinds": {name: _compared(one) for name, one in group.kinds.items()},
        "items": {name: _compared(one) for name, one in group.items.items()},
    }


def _compared(one: Compared | None) -> dict[str, Any] | None:
    if one is None:
        return None
    return _round(one.figure) | {"difference": _figure(one.difference), "verdict": one.verdict}


def _figure(figure: Figure | None) -> dict[str, Any] | None:
    return None if figure is None else _round(figure)


def _round(figure: Figure) -> dict[str, Any]:
    return {name: round(value, 4) for name, value in asdict(figure).items()}


ROUTES: tuple[Route, ...] = (
    Route("GET", "/v1/reports/recommendations", get_report, scope="catalogue"),
    Route("GET", "/v1/reports/fairness", get_fairness, scope="catalogue"),
    Route("GET", f"{PERSON}/exposure", get_exposure, scope="infer"),
)
