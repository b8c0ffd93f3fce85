"""Rankings for tests, in one call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from assistant.emotion import Mood
from assistant.profile.person import Profile
from assistant.recommend.catalogue import Item
from assistant.recommend.item_table import ItemTable, lay_out
from assistant.recommend.moment import NOWHERE, Moment
from assistant.recommend.ranking import Ranking, RankRequest, Recommendation, rank_items
from assistant.recommend.scoring import Learned, RankingContext


def ranking_of(
    items: Sequence[Item] | ItemTable,
    profile: Profile,
    mood: Mood | None,
    *,
    slots: int,
    seed: str,
    moment: Moment = NOWHERE,
    now: float = 0.0,
    learned: Learned | None = None,
    likes: Sequence[str] = (),
    **request: Any,
) -> Ranking:
    """Rank items, or a table of them, for one person; what remains goes into the request."""
    table = items if isinstance(items, ItemTable) else lay_out(items)
    who = RankingContext(profile, mood, moment, now, learned, seed, likes=tuple(likes))
    return rank_items(table, who, RankRequest(slots, moment=moment, **request))


def rank(
    items: Sequence[Item] | ItemTable, profile: Profile, mood: Mood | None, *, slots: int, seed: str, **more: Any
) -> tuple[Recommendation, ...]:
    """The slate of such a ranking."""
    return ranking_of(items, profile, mood, slots=slots, seed=seed, **more).slate
