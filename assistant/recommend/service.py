"""Choosing what to recommend: from the catalogue, the moment, what was learned, and the mood where it may be used.

Each worker holds what it has learned in memory and catches up with the log of rewards, so that all of them know the
same. What a decision knew of the mood stays in memory, until the mood expires or any consent of the person is
withdrawn; a reward that comes later teaches without it. So does every reward of a person who doesn't let their mood
be remembered: the log of rewards is kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from assistant.arrays import Floats
from assistant.consent.receipt import Record
from assistant.emotion import Mood
from assistant.errors import NotFound, Premature
from assistant.profile.person import App, Person, Profile
from assistant.recommend import ranking as policy
from assistant.recommend.bandits import Exploration
from assistant.recommend.bubble import Bubble, ShownKinds, opened
from assistant.recommend.catalogue import CatalogueSource
from assistant.recommend.decision import DecidedItem, DecidedRanking, DecisionBook, Diversity, RankingDecision
from assistant.recommend.features import (
    INTEREST,
    MOMENT,
    SEARCH,
    choice_features,
    context_vector,
    usable,
)
from assistant.recommend.feedback import (
    Kind,
    Outcome,
    RewardLog,
    State,
    laid_out,
    learned,
    pack,
    reward_of,
    shows_taste,
    unpack,
)
from assistant.recommend.holdout import Arm
from assistant.recommend.item_table import Shelf, Shelves
from assistant.recommend.likes import LikedLately
from assistant.recommend.moment import NOWHERE, Moment
from assistant.recommend.ranking import Ranking, Recommendation, ranked
from assistant.recommend.scoring import INTEREST_WEIGHT, SEARCH_WEIGHT, Learned, cold_start
from assistant.recommend.shown import ShownLately
from assistant.recommend.slate import Knobs

REFRESH_S = 1.0
"""How old what was learned may be, beside this worker's own rewards."""
SNAPSHOT_EVERY = 200
"""Rewards after which the state is kept, so that a restart need not fold the whole log."""
_DECISIONS = 20_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What an app asks of one ranking."""

    slots: int = 5
    candidates: Sequence[str] | None = None
    moment: Moment = NOWHERE
    offers: bool = True
    """Commercial items may be shown."""
    active: bool = True
    """It is shown at once; else rewards count only after it was activated."""
    knobs: Knobs = Knobs()


@dataclass(frozen=True, slots=True)
class Chosen:
    """A ranking, with what is kept of it."""

    ranking: Ranking
    decision: RankingDecision


@dataclass(slots=True)
class _Known:
    """What one app's rewards have taught, as far as this worker knows."""

    state: State = field(default_factory=State)
    kept: int = 0
    """Number of the last reward in the newest snapshot."""
    looked_at: float = -np.inf
    laid: tuple[Shelf, State, Learned] | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass(frozen=True, slots=True)
class _Felt:
    """What a decision knew of the mood."""

    person: str
    expires_at: float
    context: tuple[float, ...] | None
    """What a reward may be learned with; None where the mood may not be remembered."""
    parts: dict[str, dict[str, float]]
    """Item to what the mood added to its score."""


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
        self._exploration = exploration
        self._shelves = Shelves()
        self._apps: dict[str, _Known] = {}
        self._felt: OrderedDict[str, _Felt] = OrderedDict()
        self._shown = ShownLately(shown)
        self._likes = LikedLately(log)

    async def choose(
        self,
        app: App,
        person: Person,
        mood: Mood | None,
        wish: Wish,
        *,
        decision: str,
        now: float,
        arm: Arm | None,
        remembers: bool = False,
        profile: Profile | None = None,
    ) -> Chosen:
        """Choose for a person. `mood` is None where it may not be used, `arm` where no use of it was granted.

        `remembers`: the person lets their mood be kept, and so also the part that it had in a reward.
        `profile` is what of the profile may be used, where that isn't all of it: then nothing that the person was
        shown or liked before is used either.
        """
        shelf = await self.shelf(app.id)
        known = await self.learned(app.id, shelf, now)
        knobs, likes = wish.knobs, tuple[str, ...]()
        if profile is None:
            likes = await self._likes.of(person.pseudonym, now) if known is not None else ()
            knobs = opened(knobs, await self._shown.bubble(app.id, person.pseudonym, shelf, now))

        def chosen(felt: Mood | None) -> Ranking:
            return ranked(
                shelf,
                person.profile if profile is None else profile,
                felt,
                slots=wish.slots,
                seed=decision,
                moment=wish.moment,
                now=now,
                candidates=wish.candidates,
                learned=known,
                likes=likes,
                knobs=knobs,
                offers=wish.offers,
            )

        inputs = [
            "profile.language",
            *(["profile.interests"] if profile is None else []),
            *wish.moment.names,
            *(["likes"] if likes else []),
            *(["mood"] if mood is not None else []),
        ]
        mood, ranking = usable(mood), chosen(mood)
        without = None
        if mood is not None:
            context = tuple(context_vector(wish.moment, mood).tolist()) if remembers else None
            self._feel(decision, person.pseudonym, mood, context, ranking)
            without = chosen(None)
        if wish.active and profile is None:
            self._shown.add(person.pseudonym, [said.item.kind for said in ranking.slate])
        kept = RankingDecision(
            inputs=tuple(inputs),
            policy=policy.VERSION,
            mood_used=ranking.mood_used,
            arm=arm,
            active=wish.active,
            temperature=ranking.temperature,
            serendipity=ranking.knobs.serendipity,
            context=tuple(context_vector(wish.moment, None).tolist()[: len(MOMENT)]),
            items=tuple(_decided_item(item) for item in ranking.slate),
            diversity=_diversity(ranking, opened=ranking.knobs != wish.knobs),
            without_mood=None if without is None else tuple(item.item.id for item in without.slate),
            likes=len(likes),
            taste=profile is None,
        )
        return Chosen(ranking, kept)

    async def shelf(self, app: str) -> Shelf:
        """The app's catalogue, laid out; aside where it is large, since that takes a while."""
        catalogue = await self._catalogues.get(app)
        if len(catalogue.items) > 2_000:
            return await asyncio.to_thread(self._shelves.of, app, catalogue)
        return self._shelves.of(app, catalogue)

    async def learned(self, app: str, shelf: Shelf, now: float) -> Learned | None:
        """What was learned, laid out for the shelf; None before the first reward."""
        state = await self.state(app, now)
        if not state.number:
            return None
        known = self._apps[app]
        if known.laid is None or known.laid[0] is not shelf or known.laid[1] is not state:
            known.laid = (shelf, state, laid_out(state, shelf, now, self._exploration))
        return known.laid[2]

    async def state(self, app: str, now: float) -> State:
        """What the app's acknowledged rewards have taught, caught up to `REFRESH_S` ago."""
        known = self._apps.get(app)
        if known is None:
            known = self._apps[app] = _Known()
        if now - known.looked_at < REFRESH_S:
            return known.state
        async with known.lock:
            if now - known.looked_at < REFRESH_S:
                return known.state
            if not known.state.number and (snapshot := await self._log.snapshot(app)) is not None:
                known.state = unpack(snapshot[1])
                known.kept = known.state.number
            number, outcomes = await self._log.after(app, known.state.number)
            if outcomes:
                known.state = await asyncio.to_thread(learned, known.state, outcomes, number)
            known.looked_at = now
            if known.state.number - known.kept >= SNAPSHOT_EVERY:
                await self._log.keep(app, known.state.number, await asyncio.to_thread(pack, known.state))
                known.kept = known.state.number
        return known.state

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
        rewarded = next((one for one in decided.ranking.items if one.id == item), None)
        if rewarded is None:
            raise NotFound("this decision didn't recommend such an item", code="item_not_recommended")
        if not decided.ranking.active:
            raise Premature("activate the decision first: it wasn't shown yet", code="decision_inactive")
        shelf = await self.shelf(app)
        row = shelf.place.get(item)
        commercial = bool(row is not None and shelf.commercial[row])
        if commercial and kind == "conversion":
            worth = 0.0
        felt_then = decision in self._felt
        context, expected, felt = self._remembered(decision, decided, rewarded, commercial=commercial, now=now)
        features: tuple[float, ...] = ()
        if row is not None:
            numbers = shelf.numbers[row].copy()
            numbers[INTEREST], numbers[SEARCH] = rewarded.own
            features = tuple(choice_features(context, numbers).tolist())
        arm = decided.ranking.arm
        outcome = Outcome(item, kind, worth, expected, now, decided.at, features, felt, commercial, arm)
        if row is not None and not limited and decided.ranking.taste and shows_taste(outcome):
            self._likes.outdate(decided.person)  # another worker may have taken one
            outcome = replace(outcome, taste=True, beside=await self._likes.of(decided.person, now))
        new = await self._log.add(app, decided.person, decision, key, outcome)
        self._likes.outdate(decided.person)
        if felt_then and decision not in self._felt:  # withdrawn while it was written
            await self._log.forget_mood(decided.person)
        if new and app in self._apps:
            self._apps[app].looked_at = -np.inf
        return worth, new

    def felt(self, decision: str, now: float) -> dict[str, dict[str, float]] | None:
        """What the mood added to the score of each item of a decision; None once that isn't remembered any more."""
        known = self._felt.get(decision)
        return known.parts if known is not None and known.expires_at > now else None

    async def activate(self, app: str, decision: str) -> None:
        """What was ranked before is shown now. Raises `NotFound` (`decision_unknown`)."""
        await self._book.activate(app, decision)
        self._shown.forget((await self._book.find(app, decision)).person)

    async def bubble(self, app: str, person: str, now: float) -> Bubble:
        """How narrow what the person was shown of late is."""
        return await self._shown.bubble(app, person, await self.shelf(app), now)

    async def forget_mood(self, person: str) -> None:
        """The person doesn't let their mood be remembered any more: what rewards kept of it goes."""
        self._unfeel(person)
        await self._log.forget_mood(person)

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        self._shown.forget(person)
        self._likes.forget(person)
        self._unfeel(person)

    def apply_consent(self, record: Record) -> None:
        """A decision about consent was recorded: where one ends, drop what decisions knew of the person's mood."""
        if record.event == "erased":
            self.forget(record.person)
        elif record.event in ("withdrawn", "expired"):
            self._unfeel(record.person)
        elif record.event in ("restricted", "objected"):
            self._likes.forget(record.person)

    def _unfeel(self, person: str) -> None:
        for decision in [name for name, felt in self._felt.items() if felt.person == person]:
            del self._felt[decision]

    def _feel(
        self, decision: str, person: str, mood: Mood, context: tuple[float, ...] | None, ranking: Ranking
    ) -> None:
        parts = {
            said.item.id: {name: part for name, part in said.parts.items() if name.startswith("mood_")}
            for said in ranking.slate
        }
        self._felt[decision] = _Felt(person, mood.expires_at, context, parts)
        if len(self._felt) > _DECISIONS:
            self._felt.popitem(last=False)

    def _remembered(
        self, decision: str, decided: DecidedRanking, item: DecidedItem, *, commercial: bool, now: float
    ) -> tuple[Floats, float, float]:
        """The context of a decision, what was expected of an item, and what the mood added to that, if it lives."""
        expected = cold_start(item.parts)
        felt = self._felt.get(decision)
        if felt is None or felt.context is None or felt.expires_at <= now or commercial:
            return np.array([*decided.ranking.context, *([0.0] * 3)]), expected, 0.0
        return np.array(felt.context), expected, cold_start(felt.parts.get(item.id, {}))


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
        own=(
            ranked.parts.get("interest", 0.0) / INTEREST_WEIGHT,
            ranked.parts.get("search", 0.0) / SEARCH_WEIGHT,
        ),
    )


def _diversity(ranking: Ranking, *, opened: bool) -> Diversity | None:
    if not ranking.knobs.serendipity:
        return None
    price, likeness = round(ranking.price.expected_reward, 6), round(ranking.price.likeness, 6)
    return Diversity(price, likeness, "bubble_limit" if opened else "asked")
