"""What the app can recommend."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from assistant.errors import Invalid

MAX_ITEMS = 100_000


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


@dataclass(frozen=True, slots=True)
class Catalogue:
    """All items of an app."""

    version: str
    items: tuple[Item, ...]


class CatalogueSource(Protocol):
    """Where catalogues are kept."""

    async def get(self, app: str) -> Catalogue:
        """The app's catalogue; an empty one where it has put none."""


def check(catalogue: Catalogue) -> None:
    """Raise `Invalid` unless the catalogue keeps the rules.

    Ids are unique, affinities lie in [-1, 1], and nothing commercial may gain from distress: its affinity to
    stress is at most 0 and to valence at least 0 (`commercial_affinity`).
    """
    if len(catalogue.items) > MAX_ITEMS:
        raise Invalid(f"at most {MAX_ITEMS} items, not {len(catalogue.items)}", code="catalogue_too_large")
    seen: set[str] = set()
    for item in catalogue.items:
        if not item.id or item.id in seen:
            raise Invalid(f"item ids must be unique and not empty: {item.id!r}", code="item_id")
        seen.add(item.id)
        if not all(
            -1 <= value <= 1 for value in (item.affinity.stress, item.affinity.valence, item.affinity.arousal)
        ):
            raise Invalid(f"the affinities of {item.id!r} must lie between -1 and 1", code="item_affinity")
        if item.commercial and (item.affinity.stress > 0 or item.affinity.valence < 0):
            raise Invalid(
                f"{item.id!r} is commercial and may not gain from stress or from an unpleasant mood",
                code="commercial_affinity",
            )


def starter() -> Catalogue:
    """The sixty items that come with Attune."""
    return msgspec.json.decode((Path(__file__).parent / "starter.json").read_bytes(), type=Catalogue)
