"""Filter bubbles: how narrow what one person was shown lately has become, and the limit that acts on it.

What was shown is read from the log of decisions and kept in memory for a while. Every worker reads the same log;
what another worker showed meanwhile is known here after `REFRESH_S` at the latest.
"""

from __future__ import annotations

import math
import sys
from collections import Counter, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol

from assistant.bounded import BoundedDict
from assistant.recommend.slate import Knobs

LATELY = 60
"""The latest items by which a person's bubble is measured."""
FEWEST = 20
"""Fewest items shown from which a bubble is measured."""
NARROW = 0.35
"""Normalised entropy below which a person's slates count as narrow."""
DRIFTING = 0.5
"""Divergence between the earlier and the later half above which their slates count as drifting."""
OPENING = 0.3
"""The least serendipity for a person whose slates are narrow or drift while narrowing."""

Passed = Literal["narrow", "drifting"]


class ShownKinds(Protocol):
    """The log of what people were shown. `store` implements it."""

    async def kinds(self, person: str, most: int) -> list[str]:
        """The kinds of the last `most` items that the person, by pseudonym, was shown, oldest first.

        Without what was shown while they, or the signal of their browser, asked that nothing about them be used.
        """


@dataclass(frozen=True, slots=True)
class Bubble:
    """A measure of how narrow what a person was shown is."""

    shown: int
    """Items."""
    kinds: int
    """Different ones among them that the catalogue has."""
    of: int
    """Kinds of the catalogue."""
    entropy: float
    """Of the kinds shown, 0 (always one kind) to 1 (all kinds of the catalogue alike)."""
    drift: float
    """Jensen-Shannon divergence, in bits, between the kinds of the earlier and of the later half: 0 to 1."""
    narrowing: bool
    """The later half has less entropy than the earlier."""

    @property
    def coverage(self) -> float:
        """Share of the catalogue's kinds that were among them."""
        return self.kinds / self.of if self.of else 0.0

    @property
    def passed(self) -> Passed | None:
        """Which limit is passed; None: none, or too little was shown to say."""
        if self.shown < FEWEST:
            return None
        if self.entropy < NARROW:
            return "narrow"
        return "drifting" if self.drift > DRIFTING and self.narrowing else None

    @property
    def acts(self) -> bool:
        """A limit is passed."""
        return self.passed is not None

    @property
    def words(self) -> list[str]:
        """The measure in words for the person."""
        if not self.shown:
            return ["Nothing that you were shown lately is on record here."]
        counts = f"{self.shown} items, of {self.kinds} of the {self.of} kinds that there are"
        words = [f"Lately you were shown {counts}."]
        if self.shown < FEWEST:
            return [*words, f"That is too little to say how varied it is: it takes {FEWEST}."]
        words.append(
            f"They are varied to {self.entropy:.0%} (100 %: all kinds alike; under {NARROW:.0%} counts as narrow)."
        )
        if self.passed is None:
            return [*words, "That is varied enough: nothing is done about it."]
        why = "it had become narrow" if self.passed == "narrow" else "it was changing, and becoming narrower"
        return [*words, f"So more different things are mixed in than were asked for, since {why}."]


def bubble(kinds: Sequence[str], catalogue: Collection[str]) -> Bubble:
    """Measure the kinds that were shown to a person, oldest first, against the different kinds of the catalogue.

    >>> bubble(["news"] * 30, {"news", "music"}).entropy
    0.0
    >>> bubble(["news", "music"] * 15, {"news", "music"}).entropy
    1.0
    """
    half = len(kinds) // 2
    early, late = _shares(kinds[:half]), _shares(kinds[half:])
    most = math.log2(len(catalogue)) if len(catalogue) > 1 else 0.0
    return Bubble(
        shown=len(kinds),
        kinds=len(set(kinds).intersection(catalogue)),
        of=len(catalogue),
        entropy=min(1.0, _entropy(_shares(kinds)) / most) if most else 1.0,
        drift=_divergence(early, late),
        narrowing=_entropy(late) < _entropy(early),
    )


def widen(knobs: Knobs, bubble: Bubble) -> Knobs:
    """The knobs, with more serendipity where the limit acts.

    >>> widen(Knobs(), bubble(["news"] * 30, {"news", "music"})).serendipity
    0.3
    """
    return replace(knobs, serendipity=max(knobs.serendipity, OPENING)) if bubble.acts else knobs


def _shares(kinds: Sequence[str]) -> dict[str, float]:
    return {kind: count / len(kinds) for kind, count in Counter(kinds).items()}


def _entropy(shares: Mapping[str, float]) -> float:
    return -sum(p * math.log2(p) for p in shares.values() if p > 0) + 0.0


def _divergence(early: Mapping[str, float], late: Mapping[str, float]) -> float:
    if not early or not late:
        return 0.0
    middle = {kind: (early.get(kind, 0.0) + late.get(kind, 0.0)) / 2 for kind in {*early, *late}}
    return max(0.0, _entropy(middle) - (_entropy(early) + _entropy(late)) / 2)


REFRESH_S = 300.0
"""Seconds for which what was read is used; what this worker shows is added at once."""
_PEOPLE = 20_000


@dataclass(frozen=True, slots=True)
class _KnownKinds:
    at: float
    """Unix seconds."""
    kinds: deque[str] = field(default_factory=lambda: deque(maxlen=LATELY))


class ShownLately:
    """The kinds of items that people were shown lately."""

    def __init__(self, log: ShownKinds) -> None:
        self._log = log
        self._known = BoundedDict[str, _KnownKinds](_PEOPLE)
        self._forgets = 0

    async def kinds(self, person: str, now: float) -> Sequence[str]:
        """The kinds of the last items that they were shown, oldest first."""
        known = self._known.get(person)
        if known is None or abs(now - known.at) >= REFRESH_S:
            known = await self._read(person, now)
        return tuple(known.kinds)

    def add(self, person: str, kinds: Sequence[str]) -> None:
        """The person is shown some more items; they count with those that were read."""
        if (known := self._known.get(person)) is not None:
            known.kinds.extend(kinds)

    def forget(self, person: str) -> None:
        """Drop what is in memory; a read that is under way keeps nothing."""
        self._known.pop(person, None)
        self._forgets += 1

    async def _read(self, person: str, now: float) -> _KnownKinds:
        forgets, read = self._forgets, _KnownKinds(now)
        read.kinds.extend(sys.intern(kind) for kind in await self._log.kinds(person, LATELY))
        if forgets == self._forgets:  # else perhaps they were erased meanwhile
            self._known[person] = read
        return read
