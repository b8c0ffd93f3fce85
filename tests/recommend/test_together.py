"""Who liked this also liked: counted alike by every worker, about no single person, only from who lets it be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.consent.receipt import Actor
from assistant.profile.person import Profile
from assistant.recommend.bandits import Exploration, prior
from assistant.recommend.catalogue import Item
from assistant.recommend.features import SIZE
from assistant.recommend.feedback import LATE_S, Reward, State, learn, pack, shows_taste, unpack
from assistant.recommend.item_table import lay_out
from assistant.recommend.learner import LIKES_REFRESH_S, LikedLately
from assistant.recommend.ranking import Recommendation
from assistant.recommend.scoring import Learned
from assistant.recommend.together import (
    FEWEST,
    LIKES,
    WEIGHT,
    Bounds,
    Like,
    Neighbours,
    Together,
    add_likes,
    pack_counts,
    strongest_like,
    together,
    unpack_counts,
)
from tests.conftest import House
from tests.rankings import rank

ACTOR = Actor("app", "api")
NOW = 1_800_000_000.0
NAMES = st.sampled_from("abcdefghijkl")
LOGS = st.lists(st.builds(Like, NAMES, st.lists(NAMES, max_size=4, unique=True).map(tuple)), max_size=60)
NARROW = Bounds(items=4, partners=2)


def same(one: Together, other: Together) -> bool:
    """Also in order, by which what is as rare as another goes first."""
    pairs = [[(item, list(row.items())) for item, row in known.pairs.items()] for known in (one, other)]
    return list(one.people.items()) == list(other.people.items()) and sorted(pairs[0]) == sorted(pairs[1])


def everybody_likes(items: str, people: int = FEWEST) -> Together:
    return add_likes(Together(), [Like(item, tuple(items[:n])) for n, item in enumerate(items)] * people)


# Counting


@settings(max_examples=100, deadline=None)
@given(LOGS, st.integers(0, 60), st.sampled_from((NARROW, Bounds())))
def test_the_log_in_two_parts_with_a_snapshot_between_counts_the_same(
    log: list[Like], cut: int, bounds: Bounds
) -> None:
    half = unpack_counts(*pack_counts(add_likes(Together(), log[:cut], bounds)))
    assert same(add_likes(half, log[cut:], bounds), add_likes(Together(), log, bounds))


@settings(max_examples=100, deadline=None)
@given(LOGS)
def test_what_is_kept_is_bounded_and_of_what_is_known(log: list[Like]) -> None:
    known = add_likes(Together(), log, NARROW)
    assert len(known.people) <= 2 * NARROW.items
    assert all(len(row) <= 2 * NARROW.partners for row in known.pairs.values())
    assert known.pairs.keys() <= known.people.keys()
    assert all(row.keys() <= known.people.keys() for row in known.pairs.values())


def test_learning_more_leaves_what_was_known_as_it_was() -> None:
    known = everybody_likes("ab")
    add_likes(known, [Like("b", ("a",)), Like("c", ("a", "b"))])
    assert same(known, everybody_likes("ab"))


def test_liking_something_again_counts_once() -> None:
    assert add_likes(Together(), [Like("a", ()), Like("a", ("a",))]).people == {"a": 1}


def test_a_state_with_tastes_comes_back_from_a_snapshot() -> None:
    none = (0.0,) * SIZE
    log = [
        Reward(item, "click", 0.3, 0.0, NOW, NOW, none, taste=True, beside=beside)
        for item, beside in (("a", ()), ("b", ("a",)), ("c", ("b", "a")))
    ]
    state = learn(State(), log, 3)
    assert state.together.pairs["c"] == {"b": 1, "a": 1}
    assert same(unpack(pack(state)).together, state.together)
    assert same(learn(unpack(pack(learn(State(), log[:2], 2))), log[2:], 3).together, state.together)


@pytest.mark.parametrize(
    ("change", "shows"),
    [
        ({}, True),
        ({"reward": 0.29}, False),
        ({"commercial": True}, False),
        ({"decided_at": NOW - LATE_S - 1}, False),
    ],
)
def test_a_click_in_time_on_nothing_commercial_shows_taste(change: dict[str, Any], shows: bool) -> None:
    given: dict[str, Any] = {
        "item": "a",
        "kind": "click",
        "reward": 0.3,
        "expected": 0.0,
        "at": NOW,
        "decided_at": NOW,
    }
    assert shows_taste(Reward(**given | change)) is shows


# Scoring


def slate(known: Together, likes: tuple[str, ...], *, paid: str = "") -> dict[str, Recommendation]:
    items = [Item(name, f"Title {name}", "article", commercial=name in paid) for name in "abcd"]
    table = lay_out(items)
    what = Learned(prior(), Exploration(width=0.0), neighbours=Neighbours(known, table))
    return {s.item.id: s for s in rank(table, Profile(), None, slots=4, seed="s", learned=what, likes=likes)}


def test_a_pair_says_nothing_before_a_few_people_share_it() -> None:
    assert slate(everybody_likes("ab", FEWEST - 1), ("a",))["b"].parts["together"] == 0
    assert slate(everybody_likes("ab"), ("a",))["b"].parts["together"] > 0


def test_the_reason_names_what_was_liked() -> None:
    said = slate(everybody_likes("ab"), ("a",))["b"]
    assert said.reasons[0].code == "together"
    assert said.reason == "because people who liked Title a liked this too"


def test_nothing_commercial_is_recommended_because_of_tastes_or_speaks_for_anything() -> None:
    known = everybody_likes("ab")
    assert slate(known, ("a",), paid="b")["b"].parts["together"] == 0
    assert slate(known, ("a",), paid="a")["b"].parts["together"] == 0


def test_what_is_liked_with_everything_is_less_alike_than_what_is_liked_with_this() -> None:
    log = [Like("a", ()), Like("b", ("a",)), Like("c", ("b", "a"))] * 4 + [Like("c", ()), Like("c", ())] * 10
    said = slate(add_likes(Together(), log), ("a",))
    assert said["b"].parts["together"] > said["c"].parts["together"] > 0


def test_the_newest_like_says_most() -> None:
    log = [Like("a", ()), Like("c", ("a",)), Like("b", ()), Like("d", ("b",))] * 4
    said = slate(add_likes(Together(), log), ("b", "a"))
    assert said["d"].parts["together"] > said["c"].parts["together"] > 0


@settings(max_examples=50, deadline=None)
@given(LOGS, st.lists(NAMES, max_size=30).map(tuple))
def test_the_part_stays_within_its_bound_and_its_reason_is_one_of_the_likes(
    log: list[Like], likes: tuple[str, ...]
) -> None:
    table = lay_out([Item(name, name, "article") for name in "abcdefgh"])
    neighbours = Neighbours(add_likes(Together(), log * 3), table)
    part = together(neighbours, likes, 8)
    assert np.all((part >= 0) & (part < WEIGHT / 2))
    for row in range(8):
        why = strongest_like(neighbours, likes, row)
        assert (why is None) == (part[row] == 0)
        assert why is None or why in likes[:LIKES]


# In memory


class Log:
    """A person's rewards, and how often they were read."""

    def __init__(self, *items: str) -> None:
        self.kept = [Reward(item, "click", 0.3, 0.0, NOW, NOW, taste=True) for item in items]
        self.reads: list[int] = []

    async def of_person(self, person: str, number: int, most: int) -> tuple[int, list[Reward]]:
        self.reads.append(number)
        return len(self.kept), self.kept[number:][-most:]


async def test_likes_are_read_once_and_then_only_what_is_newer() -> None:
    log = Log("a", "b", "a")
    likes = LikedLately(log)  # type: ignore[arg-type]
    assert await likes.recent("p", 0.0) == await likes.recent("p", 1.0) == ("a", "b")
    log.kept += Log("c", "b").kept
    likes.outdate("p")
    assert await likes.recent("p", 2.0) == ("b", "c", "a")
    await likes.recent("p", 3.0 + LIKES_REFRESH_S)
    assert log.reads == [0, 3, 5]


async def test_of_whom_is_forgotten_while_being_read_nothing_stays() -> None:
    class Slow(Log):
        async def of_person(self, person: str, number: int, most: int) -> tuple[int, list[Reward]]:
            likes.forget(person)
            return await super().of_person(person, number, most)

    log = Slow("a")
    likes = LikedLately(log)  # type: ignore[arg-type]
    await likes.recent("p", 0.0)
    await likes.recent("p", 0.0)
    assert log.reads == [0, 0]


# As an app sees it

FIRST, SECOND = "sea-sounds", "night-piano"


async def _catalogue(house: House) -> None:
    items = [{"id": name, "title": name.title(), "kind": "music"} for name in (FIRST, SECOND, "other")]
    await house.call("PUT", "/v1/catalogue", {"version": "1", "items": items})


async def _click(house: House, name: str, item: str, **more: Any) -> None:
    decided = await house.call("POST", f"/v1/people/{name}/rank", {"candidates": [item], "slots": 1}, **more)
    reward = f"/v1/decisions/{decided['decision']}/reward"
    await house.call("POST", reward, {"item": item, "kind": "click"}, status=201, **more)


async def _like_both(house: House, *names: str) -> None:
    for name in names:
        await house.person(name)
        await _click(house, name, FIRST)
        await _click(house, name, SECOND)


async def _together(house: House, name: str, **more: Any) -> tuple[float, str]:
    """What tastes add to the second item for somebody, and what `explain` says of it."""
    body = {"candidates": [SECOND], "slots": 1}
    decided = await house.call("POST", f"/v1/people/{name}/rank", body, **more)
    said = decided["recommendations"][0]
    told = await house.call("GET", f"/v1/decisions/{decided['decision']}/explain")
    assert ("likes" in told["ranking"]["inputs"]) == ("together" in said["parts"])
    says = " ".join(reason["says"] for reason in told["ranking"]["items"][0]["reasons"])
    return said["parts"].get("together", 0.0), says


async def test_who_liked_the_same_is_shown_what_the_others_liked_and_told_why(house: House) -> None:
    await _catalogue(house)
    await _like_both(house, "ann", "bob", "cy")
    await house.person("dee")
    assert (await _together(house, "dee"))[0] == 0, "nothing is known of them"
    await _click(house, "dee", FIRST)
    part, words = await _together(house, "dee")
    assert part > 0
    assert "people who liked what you liked, liked this too" in words


async def test_who_asks_that_nothing_of_them_is_used_is_neither_known_by_tastes_nor_learned_from(
    house: House,
) -> None:
    gpc = {"headers": {**house.headers, "Sec-GPC": "1"}}
    await _catalogue(house)
    await _like_both(house, "ann", "bob")
    await house.person("cy")
    await _click(house, "cy", FIRST, **gpc)
    await _click(house, "cy", SECOND, **gpc)
    await house.person("dee")
    await _click(house, "dee", FIRST)
    assert (await _together(house, "dee"))[0] == 0, "two people are too few, and the third isn't counted"
    await _like_both(house, "eve")
    assert (await _together(house, "dee"))[0] > 0
    assert (await _together(house, "dee", **gpc))[0] == 0
    assert (await _together(house, "cy"))[0] == 0, "what was liked under the signal is not used later"
    app = await house.app()
    dee = await house.services.storage.people.get(app, "dee")
    for asked in (house.services.storage.restrict, house.services.storage.object):
        await asked(app, dee, True, ACTOR)
        assert (await _together(house, "dee"))[0] == 0
        await asked(app, dee, False, ACTOR)
        assert (await _together(house, "dee"))[0] > 0


async def test_an_erased_person_s_likes_are_gone_and_every_worker_counts_the_same(house: House) -> None:
    await _catalogue(house)
    await _like_both(house, "ann", "bob", "cy")
    app = (await house.app()).id
    known = await house.services.recommender.learner.state(app, house.clock.now)
    number, rewards = await house.services.storage.rewards.after(app, 0)
    assert same(known.together, learn(State(), rewards, number).together)
    assert known.together.pairs[FIRST] == {SECOND: 3}
    await house.call("DELETE", "/v1/people/ann", status=204)
    await house.person("ann")
    assert (await _together(house, "ann"))[0] == 0
    assert (await _together(house, "bob"))[0] > 0
