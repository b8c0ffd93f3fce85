"""A tone that does not flap: towards calm at once, back only when it was wished for a while.

Only what the mood changes is held. What the profile, the context or a law asks for holds at once, and where the
mood is not used nothing is held at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from assistant.tone.directive import Manner

HOLD_S = 20.0
"""Seconds for which the way back must be wished; chosen, not measured."""

CALMER: Mapping[str, tuple[str, ...]] = {
    "pace": ("brisk", "normal", "slow"),
    "verbosity": ("normal", "brief"),
    "directness": ("normal", "gentle"),
    "acknowledgement": ("none", "light", "explicit"),
    "humour": ("welcome", "avoid"),
}
"""Choices from lively to calm. The others have no such order: with them, away from the usual is the easy way."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A choice that the mood made, and what is wished in its place."""

    value: str
    rival: str | None = None
    since: float = 0.0
    """Unix seconds since when the rival was wished without a break."""


Held = Mapping[str, Kept]
"""By the name of the choice; one that isn't in it is as usual."""

NOTHING: Held = {}


def steady_manner(held: Held, wish: Manner, usual: Manner, now: float) -> tuple[Manner, Held]:
    """The manner to take, and what to hold from now on. `usual` is the manner without the mood, `now` in seconds.

    >>> calm, usual = Manner(pace="slow"), Manner()
    >>> manner, held = steady_manner(NOTHING, calm, usual, 0.0)
    >>> manner.pace
    'slow'
    >>> manner, held = steady_manner(held, usual, usual, 5.0)
    >>> manner.pace
    'slow'
    >>> steady_manner(held, usual, usual, 25.0)[0].pace
    'normal'
    """
    chosen: dict[str, Any] = {}
    kept_now: dict[str, Kept] = {}
    base = usual.choices()
    for name, wanted in wish.choices().items():
        kept = held.get(name) or Kept(base[name])
        if wanted == kept.value or _is_easy(name, kept.value, wanted, base[name]):
            kept = Kept(wanted)
        else:
            since = kept.since if kept.rival == wanted else now
            kept = Kept(wanted) if now - since >= HOLD_S else Kept(kept.value, wanted, since)
        chosen[name] = kept.value
        if kept.value != base[name] or kept.rival is not None:
            kept_now[name] = kept
    return Manner(**chosen), kept_now


def _is_easy(name: str, now: str, wanted: str, usual: str) -> bool:
    if name not in CALMER:
        return now == usual
    order = CALMER[name]
    return order.index(wanted) > order.index(now)
