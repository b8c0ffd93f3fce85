"""The moment in which something is recommended: what the app says of time, place and activity. Nothing inferred."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

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
        known = {
            "hour": self.hour is not None,
            "weekday": self.weekday is not None,
            "place": self.place is not None,
            "activity": self.activity is not None,
            "searches": bool(self.searches),
        }
        return tuple(f"context.{name}" for name, is_known in known.items() if is_known)


NOWHERE = Moment()
"""A moment of which nothing is known."""


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
