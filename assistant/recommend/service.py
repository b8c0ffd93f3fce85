"""Choosing what to recommend: from the catalogue, the moment, what was learned, and the mood where it may be used.

A reward teaches with the mood only while that is in memory (`mood_parts`), and never that of a person who doesn't
let their mood be remembered: the log of rewards is kept.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

import numpy as np

from assistant.consent.receipt import Record
from assistant.emotion import Mood
from assistant.errors import NotFound, Premature
from assistant.profile.person import App, Person, Profile
from assistant.recommend.bandits import Exploration
from assistant.recommend.bubble import Bubble, ShownKinds, ShownLately, bubble, widen
from assistant.recommend.catalogue import Catalogue, CatalogueSource
from assistant.recommend.decision import DecidedItem, DecisionBook, Diversity, MoodPart, MoodParts, RankingDecision
from assistant.recommend.features import INTEREST, MOMENT, MOOD, SEARCH, choice_features, context_vector, usable
from assistant.recommend.feedback import Kind, Reward, RewardLog, reward_of, shows_taste
from assistant.recommend.holdout import Arm
from assistant.recommend.item_table import ItemTable, lay_out
from assistant.recommend.learner import Learner, LikedLately
from assistant.recommend.ranking import VERSION, Ranking, RankRequest, Recommendation, rank_items
from assistant.recommend.scoring import INTEREST_WEIGHT, SEARCH_WEIGHT, RankingContext, cold_start

_LARGE = 2_000
"""Items from which a catalogue is laid out in another thread."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Whom a ranking is for, and what of theirs may be used."""

    app: App
    person: Person
    mood: Mood | None = None
    """None where it may not be used for content, or nothing is known."""
    arm: Arm | None = None
    """Of the standing experiment; None where no use of the mood was granted."""
    remembers: bool = False
    """They let their mood be kept, and so also the part that it had in a reward."""
    limited_to: Profile | None = None
    """What of the profile may be used, where that isn't all of it. Then nothing that they were shown or liked
    before is used either."""

    @property
    def profile(self) -> Profile:
        """The part of their profile that may be used."""
        return self.person.profile if self.limited_to is None else self.limited_to


@dataclass(frozen=True, slots=True)
class Chosen:
    """A ranking, with what is kept of it."""

    ranking: Ranking
    decision: RankingDecision


class Recommender:
    """Chooses for everybody, and takes the rewards."""

    def __init__(
        self,
        catalogues: CatalogueSource,
        log: RewardLog,
        book: DecisionBook,
        shown: ShownKinds,
        *,
        exploration: Exploration,
    ) -> None:
        self._catalogues = catalogues
        self._log = log
        self._book = book
        self._tables: dict[str, tuple[Catalogue, ItemTable]] = {}
        """Of each app's present catalogue."""
        self.learner = Learner(log, exploration)
        self._mood_parts = MoodParts()
        self._shown = ShownLately(shown)
        self._likes = LikedLately(log)

    async def choose(self, viewer: Viewer, request: RankRequest, *, decision: str, now: float) -> Chosen:
        """Choose for a person, at unix time `now`; the `decision`'s id is the seed of all chance."""
        app, person = viewer.app.id, viewer.person.pseudonym
        table = await self.item_table(app)
        learned = await self.learner.learned(app, table, now)
        wished, likes = request, tuple[str, ...]()
        if viewer.limited_to is None:
            likes = await self._likes.recent(person, now) if learned is not None else ()
            lately = bubble(await self._shown.kinds(person, now), table.kinds)
            request = replace(request, knobs=widen(request.knobs, lately))
        mood = usable(viewer.mood)
        context = RankingContext(viewer.profile, mood, request.moment, now, learned, decision, likes=likes)
        ranking, without = rank_items(table, context, request), None
        if mood is not None:
            numbers = tuple(context_vector(request.moment, mood).tolist()) if viewer.remembers else None
            self._mood_parts.remember(decision, person, mood, numbers, ranking)
            without = rank_items(table, context.blind, request)
        if request.active and viewer.limited_to is None:
            self._shown.add(person, [ranked.item.kind for ranked in ranking.slate])
        kept = RankingDecision(
            inputs=_inputs(viewer, request, likes),
            policy=VERSION,
            mood_used=ranking.mood_used,
            arm=viewer.arm,
            active=request.active,
            temperature=ranking.temperature,
            serendipity=ranking.knobs.serendipity,
            context=tuple(context_vector(request.moment, None).tolist()[: len(MOMENT)]),
            items=tuple(_decided_item(ranked) for ranked in ranking.slate),
            diversity=_diversity(ranking, widened=request.knobs != wished.knobs),
            without_mood=None if without is None else tuple(ranked.item.id for ranked in without.slate),
            likes=len(likes),
            taste=viewer.limited_to is None,
        )
        return Chosen(ranking, kept)

    async def item_table(self, app: str) -> ItemTable:
        """The app's catalogue, laid out; aside where it is large, since that takes a while."""
        catalogue, known = await self._catalogues.get(app), self._tables.get(app)
        if known is None or known[0] is not catalogue:
            items = catalogue.items
            table = await asyncio.to_thread(lay_out, items) if len(items) > _LARGE else lay_out(items)
            known = self._tables[app] = (catalogue, table)
        return known[1]

    async def reward(
        self,
        app: str,
        decision: str,
        item: str,
        kind: Kind,
        value: float,
        *,
        key: str,
        now: float,
        limited: bool = False,
    ) -> tuple[float, bool]:
        """Take a reward: its worth, and whether it was new. It is durable when this returns.

        `limited`: the person asked that what they do isn't used; then it says nothing of their taste.
        Raises `NotFound` (`decision_unknown`, `item_not_recommended`), `Invalid` (`reward_value`) or `Premature`
        (`decision_inactive`).
        """
        worth = reward_of(kind, value)
        decided = await self._book.find(app, decision)
        ranked = next((ranked for ranked in decided.ranking.items if ranked.id == item), None)
        if ranked is None:
            raise NotFound("this decision didn't recommend such an item", code="item_not_recommended")
        if not decided.ranking.active:
            raise Premature("activate the decision first: it wasn't shown yet", code="decision_inactive")
        table = await self.item_table(app)
        row = table.place.get(item)
        commercial = bool(row is not None and table.commercial[row])
        if commercial and kind == "conversion":
            worth = 0.0
        had_mood = decision in self._mood_parts
        mood_part = None if commercial else self._mood_parts.get(decision, now)
        if mood_part is None or mood_part.context is None:
            context, felt = np.array([*decided.ranking.context, *[0.0] * len(MOOD)]), 0.0
        else:
            context, felt = np.array(mood_part.context), cold_start(mood_part.parts.get(item, {}))
        features: tuple[float, ...] = ()
        if row is not None:
            numbers = table.numbers[row].copy()
            numbers[INTEREST], numbers[SEARCH] = ranked.own
            features = tuple(choice_features(context, numbers).tolist())
        expected, arm = cold_start(ranked.parts), decided.ranking.arm
        reward = Reward(item, kind, worth, expected, now, decided.at, features, felt, commercial, arm)
        if row is not None and not limited and decided.ranking.taste and shows_taste(reward):
            self._likes.outdate(decided.person)  # another worker may have taken one
            reward = replace(reward, taste=True, beside=await self._likes.recent(decided.person, now))
        new = await self._log.add(app, decided.person, decision, key, reward)
        self._likes.outdate(decided.person)
        if had_mood and decision not in self._mood_parts:  # withdrawn while it was written
            await self._log.forget_mood(decided.person)
        if new:
            self.learner.outdate(app)
        return worth, new

    def mood_parts(self, decision: str, now: float) -> MoodPart | None:
        """What a decision knew of the mood; None once that isn't remembered any more."""
        return self._mood_parts.get(decision, now)

    async def activate(self, app: str, decision: str) -> None:
        """What was ranked before is shown now. Raises `NotFound` (`decision_unknown`)."""
        await self._book.activate(app, decision)
        self._shown.forget((await self._book.find(app, decision)).person)

    async def bubble(self, app: str, person: str, now: float) -> Bubble:
        """How narrow what the person was shown lately is."""
        return bubble(await self._shown.kinds(person, now), (await self.item_table(app)).kinds)

    async def forget_mood(self, person: str) -> None:
        """The person doesn't let their mood be remembered any more: what rewards kept of it goes."""
        self._mood_parts.forget(person)
        await self._log.forget_mood(person)

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        self._shown.forget(person)
        self._likes.forget(person)
        self._mood_parts.forget(person)

    def apply_consent(self, record: Record) -> None:
        """A decision about consent was recorded: where one ends, drop what decisions knew of the person's mood."""
        if record.event == "erased":
            self.forget(record.person)
        elif record.event in ("withdrawn", "expired"):
            self._mood_parts.forget(record.person)
        elif record.event in ("restricted", "objected"):
            self._likes.forget(record.person)


def _inputs(viewer: Viewer, request: RankRequest, likes: tuple[str, ...]) -> tuple[str, ...]:
    """Names of what a ranking looked at."""
    possible = {"profile.language": True, "profile.interests": viewer.limited_to is None}
    possible |= dict.fromkeys(request.moment.names, True) | {"likes": bool(likes), "mood": viewer.mood is not None}
    return tuple(name for name, used in possible.items() if used)


def _decided_item(ranked: Recommendation) -> DecidedItem:
    """What is kept of an item: no part of its score that the mood made."""
    return DecidedItem(
        id=ranked.item.id,
        kind=ranked.item.kind,
        commercial=ranked.item.commercial,
        propensity=ranked.propensity,
        reason=ranked.reason,
        codes=tuple(reason.code for reason in ranked.reasons if reason.part > 0),
        parts={name: part for name, part in ranked.parts.items() if not name.startswith("mood_")},
        own=(ranked.parts.get("interest", 0.0) / INTEREST_WEIGHT, ranked.parts.get("search", 0.0) / SEARCH_WEIGHT),
    )


def _diversity(ranking: Ranking, *, widened: bool) -> Diversity | None:
    if not ranking.knobs.serendipity:
        return None
    price, likeness = round(ranking.price.expected_reward, 6), round(ranking.price.likeness, 6)
    return Diversity(price, likeness, "bubble_limit" if widened else "asked")
