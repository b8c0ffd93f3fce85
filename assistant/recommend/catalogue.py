"""What the app can recommend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from assistant.errors import Invalid
from assistant.recommend.attributes import OF_ITEMS, refusal

MAX_ITEMS = 100_000
MAX_ITEM_ID = 256
"""Characters of an item's id."""
_MOST_S = 1e11
"""Times from here on (the year 5138) are taken for milliseconds."""
MAX_FEATURES = 32
"""Of one item."""
SHOWN_FAULTS = 100
"""Faults listed in one answer; all are counted."""


@dataclass(frozen=True, slots=True)
class Affinity:
    """How well an item suits a mood, each in [-1, 1]. Positive stress suits a stressed person, negative valence an
    unpleasant mood, positive arousal an activated one.
    """

    stress: float = 0.0
    valence: float = 0.0
    arousal: float = 0.0


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to recommend."""

    id: str
    title: str
    kind: str
    language: str = "en"
    tags: tuple[str, ...] = ()
    summary: str = ""
    minutes: int | None = None
    affinity: Affinity = field(default_factory=Affinity)
    commercial: bool = False
    features: dict[str, float] = field(default_factory=dict)
    """Further numbers of the app's own, each in [-1, 1]; none about price, eligibility or a queue."""
    published_at: float | None = None
    """Unix seconds."""
    available: bool = True
    available_from: float | None = None
    """Unix seconds."""
    available_until: float | None = None
    """Unix seconds; from then on it is gone."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items of an app."""

    version: str
    items: tuple[Item, ...]


class CatalogueSource(Protocol):
    """Where catalogues are kept."""

    async def get(self, app: str) -> Catalogue:
        """The app's catalogue; an empty one where it has put none."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one item."""

    index: int
    """Its place in the list, from 0; -1 for the catalogue as a whole."""
    code: str
    says: str


def faults(catalogue: Catalogue) -> Iterator[Fault]:
    """Everything that breaks a rule, in the order of the items.

    Ids are unique, affinities and features lie in [-1, 1], no feature may be one of `attributes.OF_ITEMS`, and
    nothing commercial may gain from distress: its affinity to stress is at most 0 and to valence at least 0.
    """
    if len(catalogue.items) > MAX_ITEMS:
        yield Fault(-1, "catalogue_too_large", f"at most {MAX_ITEMS} items, not {len(catalogue.items)}")
        return
    seen: set[str] = set()
    for index, item in enumerate(catalogue.items):
        if not item.id or item.id in seen:
            yield Fault(index, "item_id", f"item ids must be unique and not empty: {item.id!r}")
        elif len(item.id) > MAX_ITEM_ID:
            yield Fault(index, "item_id", f"an item id has at most {MAX_ITEM_ID} characters: {item.id[:40]!r}...")
        seen.add(item.id)
        liking = item.affinity
        if not (-1 <= liking.stress <= 1 and -1 <= liking.valence <= 1 and -1 <= liking.arousal <= 1):
            yield Fault(index, "item_affinity", f"the affinities of {item.id!r} must lie between -1 and 1")
        if item.commercial and (liking.stress > 0 or liking.valence < 0):
            says = f"{item.id!r} is commercial and may not gain from stress or from an unpleasant mood"
            yield Fault(index, "commercial_affinity", says)
        if len(item.features) > MAX_FEATURES:
            yield Fault(index, "item_features", f"{item.id!r} has more than {MAX_FEATURES} features")
        for name, value in item.features.items():
            if (refused := refusal(name, OF_ITEMS)) is not None:
                yield Fault(index, refused.code, f"{item.id!r} may not have the feature {name!r}: {refused.says}")
            if not -1 <= value <= 1:
                yield Fault(index, "item_features", f"the features of {item.id!r} must lie between -1 and 1")
        yield from (Fault(index, "item_time", says) for says in _wrong_times(item))


def _wrong_times(item: Item) -> Iterator[str]:
    """What is wrong with an item's times."""
    for name in ("published_at", "available_from", "available_until"):
        at = getattr(item, name)
        if at is None or abs(at) < _MOST_S:
            continue
        hint = "; this looks like milliseconds: divide it by 1000" if _MOST_S <= abs(at) < 1000 * _MOST_S else ""
        yield f"`{name}` of {item.id!r} must be Unix seconds, before the year 5138{hint}"
    start, end = item.available_from, item.available_until
    if start is not None and end is not None and start >= end:
        yield f"{item.id!r} is never there: its `available_until` is not after its `available_from`"


def check(catalogue: Catalogue) -> None:
    """Raise `Invalid` with the code of the first fault, unless the catalogue keeps the rules."""
    all_faults = list(faults(catalogue))
    if all_faults:
        more = f" (and {len(all_faults) - 1} more faults)" if len(all_faults) > 1 else ""
        raise Invalid(all_faults[0].says + more, code=all_faults[0].code)


def starter() -> Catalogue:
    """The sixty items that come with Attune."""
    return msgspec.json.decode((Path(__file__).parent / "starter.json").read_bytes(), type=Catalogue)
