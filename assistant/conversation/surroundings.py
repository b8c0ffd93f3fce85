"""The moment in which something is recommended: what the app says of it, completed by the context that was kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import get_args
from zoneinfo import ZoneInfo

from assistant.profile.context import ContextPart
from assistant.recommend.moment import SEARCHES, Activity, Moment


def completed(said: Moment, known: Mapping[str, ContextPart], now: float) -> Moment:
    """What was said with the request, and for the rest the person's recent context at unix time `now`.

    The kept location is no kind of place, so it isn't used; neither is an activity without a feature of its own.

    >>> completed(Moment(place="home"), {"time_zone": ContextPart("Europe/Berlin", 0.0, 9.0)}, 0.0)
    Moment(hour=1.0, weekday=3, place='home', activity=None, searches=())
    """
    if said.hour is None and said.weekday is None and "time_zone" in known:
        local = datetime.fromtimestamp(now, ZoneInfo(known["time_zone"].value))
        said = replace(said, hour=local.hour + local.minute / 60, weekday=local.weekday())
    if said.activity is None and "activity" in known and known["activity"].value in get_args(Activity):
        said = replace(said, activity=known["activity"].value)
    if not said.searches and "searches" in known:
        said = replace(said, searches=tuple(known["searches"].value[:SEARCHES]))
    return said
