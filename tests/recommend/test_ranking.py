"""Ranking: law 7 holds for every catalogue, the propensities are exact, and every choice can be replayed."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.emotion import Estimate, Mood
from assistant.errors import Invalid
from assistant.profile.person import Profile
from assistant.recommend.catalogue import MAX_ITEMS, Affinity, Catalogue, Item, check, starter
from assistant.recommend.ranking import Recommendation
from assistant.recommend.slate import TEMPERATURE
from tests.rankings import rank

few = settings(max_examples=30, deadline=None)

TAGS = ("music", "walking", "cooking", "reading")


def mood(valence: float = 0.0, arousal: float = 0.0, stress: float = 0.5, confidence: float = 0.8) -> Mood:
    return Mood(
        Estimate(valence, 0.2), Estimate(arousal, 0.2), stress, {"neutral": 1.0}, (), 0.0, 900.0, confidence
    )


unit = st.floats(-1, 1)
moods = st.builds(mood, unit, unit, st.floats(0, 1), st.floats(0, 1))
affinities = st.builds(Affinity, unit, unit, unit)
lawful = st.builds(Affinity, st.floats(-1, 0), st.floats(0, 1), unit)
contents = st.builds(
    Item,
    id=st.just(""),
    title=st.just("a title"),
    kind=st.just("article"),
    tags=st.lists(st.sampled_from(TAGS), max_size=3, unique=True).map(tuple),
    affinity=affinities,
)
offers = st.builds(replace, contents, commercial=st.just(True), affinity=lawful)
catalogues = st.lists(contents | offers, min_size=1, max_size=10).map(
    lambda items: tuple(replace(item, id=str(index)) for index, item in enumerate(items))
)
profiles = st.builds(Profile, interests=st.lists(st.sampled_from(TAGS), max_size=3, unique=True).map(tuple))
seeds = st.integers(0, 1 << 30).map(str)


def places(slate: tuple[Recommendation, ...]) -> dict[str, int]:
    return {said.item.id: place for place, said in enumerate(slate)}


# Law 7


@few
@given(catalogues, profiles, moods, st.floats(0, 1), seeds)
def test_more_stress_never_raises_the_score_or_place_of_anything_commercial(
    items: tuple[Item, ...], profile: Profile, m: Mood, more: float, seed: str
) -> None:
    stressed = replace(m, stress=m.stress + (1 - m.stress) * more)
    calm = rank(items, profile, m, slots=20, seed=seed)
    tense = rank(items, profile, stressed, slots=20, seed=seed)
    scores = {said.item.id: said.score for said in calm}
    for said in tense:
        if said.item.commercial:
            assert said.score <= scores[said.item.id]
            assert places(tense)[said.item.id] >= places(calm)[said.item.id]


@few
@given(catalogues, profiles, moods, seeds)
def test_knowing_the_mood_never_raises_the_place_of_anything_commercial(
    items: tuple[Item, ...], profile: Profile, m: Mood, seed: str
) -> None:
    blind = places(rank(items, profile, None, slots=20, seed=seed))
    used = rank(items, profile, m, slots=20, seed=seed)
    for said in used:
        if said.item.commercial:
            assert places(used)[said.item.id] >= blind[said.item.id]


@few
@given(catalogues, profiles, moods, seeds)
def test_while_the_mood_is_used_everything_commercial_comes_last(
    items: tuple[Item, ...], profile: Profile, m: Mood, seed: str
) -> None:
    paid = [said.item.commercial for said in rank(items, profile, m, slots=20, seed=seed)]
    assert paid == sorted(paid)


@few
@given(catalogues, profiles, moods, seeds)
def test_no_part_of_anything_commercial_depends_on_the_mood(
    items: tuple[Item, ...], profile: Profile, m: Mood, seed: str
) -> None:
    blind = {said.item.id: said.parts for said in rank(items, profile, None, slots=20, seed=seed)}
    for said in rank(items, profile, m, slots=20, seed=seed):
        if said.item.commercial:
            assert said.parts == blind[said.item.id]
            assert not any(name.startswith("mood") for name in said.parts)
            assert "mood" not in said.reason
            assert "stress" not in said.reason


def test_the_mood_never_changes_what_may_be_recommended() -> None:
    items = starter().items
    blind = rank(items, Profile(), None, slots=100, seed="s")
    used = rank(items, Profile(), mood(-0.9, 0.9, 0.9), slots=100, seed="s")
    assert {said.item.id for said in blind} == {said.item.id for said in used}


# Scores and reasons


@few
@given(catalogues, profiles, st.none() | moods, seeds)
def test_a_score_is_the_sum_of_its_parts(
    items: tuple[Item, ...], profile: Profile, m: Mood | None, seed: str
) -> None:
    for said in rank(items, profile, m, slots=20, seed=seed):
        assert said.score == pytest.approx(sum(said.parts.values()))
        assert 0 < said.propensity <= 1
        assert said.reason


@few
@given(catalogues, profiles, seeds)
def test_a_mood_that_abstained_is_no_mood(items: tuple[Item, ...], profile: Profile, seed: str) -> None:
    unsaid = rank(items, profile, Mood.unsaid("too_short", 0.0), slots=20, seed=seed)
    assert unsaid == rank(items, profile, None, slots=20, seed=seed)


def test_the_reason_is_the_largest_part_in_words() -> None:
    profile = Profile(interests=("music", "cooking"))
    item = Item("a", "A", "article", tags=("music", "cooking"))
    assert rank([item], profile, None, slots=1, seed="s")[0].reason == (
        "matches what you said you like: cooking, music"
    )
    calming = Item("a", "A", "article", affinity=Affinity(stress=1.0))
    assert "stress" in rank([calming], Profile(), mood(stress=0.9), slots=1, seed="s")[0].reason
    assert "catalogue" in rank([item], Profile(), None, slots=1, seed="s")[0].reason


def test_braces_in_a_tag_are_only_text() -> None:
    item = Item("a", "A", "article", tags=("{tags.__class__}",))
    said = rank([item], Profile(interests=item.tags), None, slots=1, seed="s")[0]
    assert said.reason.endswith("{tags.__class__}")


def test_an_unsure_valence_counts_for_nothing() -> None:
    item = Item("a", "A", "article", affinity=Affinity(valence=1.0, arousal=1.0))
    (said,) = rank([item], Profile(), mood(0.9, 0.9, confidence=0.0), slots=1, seed="s")
    assert said.score == 0


# Languages and slots


def test_only_what_is_in_the_persons_language_is_recommended() -> None:
    items = [Item("a", "A", "article"), Item("b", "B", "article", language="de")]
    said = rank(items, Profile(language="de"), None, slots=5, seed="s")
    assert [one.item.id for one in said] == ["b"]


def test_where_nothing_is_in_their_language_everything_may_be_recommended() -> None:
    items = [Item("a", "A", "article"), Item("b", "B", "article", language="de")]
    said = rank(items, Profile(language="da"), None, slots=5, seed="s")
    assert {one.item.id for one in said} == {"a", "b"}


def test_an_empty_catalogue_recommends_nothing() -> None:
    assert rank([], Profile(), None, slots=5, seed="s") == ()
    assert rank([], Profile(), mood(), slots=5, seed="s") == ()


@few
@given(catalogues, st.none() | moods, st.integers(0, 12), seeds)
def test_a_shorter_slate_is_the_beginning_of_a_longer_one(
    items: tuple[Item, ...], m: Mood | None, slots: int, seed: str
) -> None:
    whole = rank(items, Profile(), m, slots=len(items), seed=seed)
    shorter = rank(items, Profile(), m, slots=slots, seed=seed)
    assert [said.item.id for said in shorter] == [said.item.id for said in whole[:slots]]
    assert [said.propensity for said in shorter] == pytest.approx([said.propensity for said in whole[:slots]])
    assert {said.item.id for said in whole} == {item.id for item in items}


# Propensities


@few
@given(catalogues, profiles, st.none() | moods, seeds)
def test_the_same_seed_draws_the_same_slate(
    items: tuple[Item, ...], profile: Profile, m: Mood | None, seed: str
) -> None:
    assert rank(items, profile, m, slots=4, seed=seed) == rank(items, profile, m, slots=4, seed=seed)


def four() -> list[Item]:
    """Items whose logits are 0, 1/2, 1 and 2: one of twelve, six and three tags is liked."""
    return [
        Item(str(size), "T", "article", tags=("music", *(f"other{n}" for n in range(size - 1))))
        if size
        else Item("0", "T", "article")
        for size in (0, 12, 6, 3)
    ]


def plackett_luce(order: tuple[str, ...], scores: dict[str, float]) -> list[float]:
    """The probability of each place given those above it, by the definition."""
    return [
        math.exp(scores[name] / TEMPERATURE) / sum(math.exp(scores[other] / TEMPERATURE) for other in order[place:])
        for place, name in enumerate(order)
    ]


LIKES = Profile(interests=("music",))


def test_propensities_are_those_of_the_definition() -> None:
    for seed in range(200):
        slate = rank(four(), LIKES, None, slots=4, seed=str(seed))
        wanted = plackett_luce(tuple(said.item.id for said in slate), {said.item.id: said.score for said in slate})
        assert [said.propensity for said in slate] == pytest.approx(wanted)
        assert slate[-1].propensity == pytest.approx(1.0)


def test_slates_come_as_often_as_their_propensities_say() -> None:
    draws = 3000
    items = four()
    scores = {said.item.id: said.score for said in rank(items, LIKES, None, slots=4, seed="")}
    assert sorted(score / TEMPERATURE for score in scores.values()) == pytest.approx([0, 0.5, 1, 2])
    seen = Counter(
        tuple(said.item.id for said in rank(items, LIKES, None, slots=4, seed=f"decision-{n}"))
        for n in range(draws)
    )
    chances = {order: math.prod(plackett_luce(order, scores)) for order in permutations(scores)}
    assert sum(chances.values()) == pytest.approx(1)
    chi_square = sum((seen[order] - draws * p) ** 2 / (draws * p) for order, p in chances.items())
    assert chi_square < 49.7  # the .999 quantile for 23 degrees of freedom


def test_each_tier_has_propensities_of_its_own() -> None:
    items = [*four(), *(replace(item, id=f"paid{item.id}", commercial=True) for item in four())]
    slate = rank(items, LIKES, mood(), slots=8, seed="s")
    assert [slate[3].propensity, slate[7].propensity] == pytest.approx([1.0, 1.0])
    scores = {said.item.id: said.score for said in slate}
    for tier in (slate[:4], slate[4:]):
        wanted = plackett_luce(tuple(said.item.id for said in tier), scores)
        assert [said.propensity for said in tier] == pytest.approx(wanted)


# Catalogues


def test_the_starter_catalogue_keeps_the_rules() -> None:
    catalogue = starter()
    check(catalogue)
    assert len(catalogue.items) == 60
    assert any(item.commercial for item in catalogue.items)
    assert all(item.title and item.kind and item.tags and item.summary for item in catalogue.items)


GOOD = Item("a", "A", "article")


@pytest.mark.parametrize(
    ("items", "code"),
    [
        ((GOOD, GOOD), "item_id"),
        ((replace(GOOD, id=""),), "item_id"),
        ((replace(GOOD, affinity=Affinity(stress=1.1)),), "item_affinity"),
        ((replace(GOOD, affinity=Affinity(valence=-1.1)),), "item_affinity"),
        ((replace(GOOD, affinity=Affinity(arousal=math.nan)),), "item_affinity"),
        ((replace(GOOD, affinity=Affinity(arousal=math.inf)),), "item_affinity"),
        ((replace(GOOD, commercial=True, affinity=Affinity(stress=0.1)),), "commercial_affinity"),
        ((replace(GOOD, commercial=True, affinity=Affinity(valence=-0.1)),), "commercial_affinity"),
        ((GOOD,) * (MAX_ITEMS + 1), "catalogue_too_large"),
    ],
)
def test_a_catalogue_that_breaks_a_rule_is_refused_with_its_code(items: tuple[Item, ...], code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(Catalogue("1", items))
    assert refused.value.code == code


@few
@given(catalogues)
def test_a_lawful_catalogue_is_accepted(items: tuple[Item, ...]) -> None:
    check(Catalogue("1", items))
