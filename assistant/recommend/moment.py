"""The moment in which something is recommended: time, place and activity, as the app says. Nothing inferred."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from assistant.profile.person import ContextPart

Place = Literal["home", "work", "transit", "out"]
Activity = Literal["still", "walking", "running", "driving"]

SEARCHES = 10
"""Recent searches that count."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment, as far as it is known. It never holds a mood."""

    hour: float | None = None
    """Local time of day, 0 up to 24."""
    weekday: int | None = None
    """0 is Monday."""
    place: Place | None = None
    """Coarse, never coordinates."""
    activity: Activity | None = None
    searches: tuple[str, ...] = ()
    """What the person searched for lately, newest first. It is matched, and kept nowhere."""

    @property
    def names(self) -> tuple[str, ...]:
        """Names of what is known, as a decision lists its inputs.

        >>> Moment(hour=7.5, place="home").names
        ('context.hour', 'context.place')
        """
        return tuple(f"context.{name}" for name in self.__slots__ if getattr(self, name) not in (None, ()))


NOWHERE = Moment()
"""A moment of which nothing is known."""


def complete_moment(said: Moment, context: Mapping[str, ContextPart], now: float) -> Moment:
    """What the app said with the request, and for the rest the person's recent context at unix time `now`.

    The kept location is no kind of place, so it isn't used; neither is an activity without a feature of its own.

    >>> complete_moment(Moment(place="home"), {"time_zone": ContextPart("Europe/Berlin", 0.0, 9.0)}, 0.0)
    Moment(hour=1.0, weekday=3, place='home', activity=None, searches=())
    """
    if said.hour is None and said.weekday is None and "time_zone" in context:
        local = datetime.fromtimestamp(now, ZoneInfo(context["time_zone"].value))
        said = replace(said, hour=local.hour + local.minute / 60, weekday=local.weekday())
    if said.activity is None and "activity" in context and context["activity"].value in get_args(Activity):
        said = replace(said, activity=context["activity"].value)
    if not said.searches and "searches" in context:
        said = replace(said, searches=tuple(context["searches"].value[:SEARCHES]))
    return said


def context_numbers(moment: Moment) -> tuple[float, ...]:
    """The moment as numbers, in the order of `features.MOMENT`; what is unknown is 0."""
    angle = None if moment.hour is None else 2 * math.pi * moment.hour / 24
    return (
        1.0,
        0.0 if angle is None else math.sin(angle),
        0.0 if angle is None else math.cos(angle),
        float(moment.weekday is not None and moment.weekday >= 5),
        float(moment.place == "home"),
        float(moment.place in ("transit", "out")),
        float(moment.activity in ("walking", "running")),
        float(bool(moment.searches)),
    )
