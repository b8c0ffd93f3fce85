"""Learning: the belief is exact, the scores sum, the mood stays behind its grant, and nothing commercial gains."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.emotion import Estimate, Mood
from assistant.errors import Invalid
from assistant.profile.person import Profile
from assistant.recommend.attributes import OF_CONTEXTS, check_names
from assistant.recommend.bandits import Belief, Exploration, fold, prior, restore
from assistant.recommend.bubble import bubble, widen
from assistant.recommend.catalogue import Affinity, Catalogue, Item, check, faults
from assistant.recommend.features import (
    COMMERCIAL,
    CONTEXT,
    ITEM,
    SIZE,
    blind,
    choice_features,
    context_vector,
    item_numbers,
)
from assistant.recommend.item_table import ItemTable, lay_out
from assistant.recommend.moment import Moment
from assistant.recommend.ranking import Recommendation
from assistant.recommend.scoring import Learned, RankingContext, totals, view
from assistant.recommend.slate import (
    Knobs,
    draw,
    draw_diverse,
    expected_loss,
    generator,
    price,
    temperature_of,
    unit,
)
from assistant.recommend.together import Like, Neighbours, Together, add_likes
from tests.rankings import rank, ranking_of

few = settings(max_examples=25, deadline=None)
TAGS = ("music", "walking", "cooking", "reading")
unit_interval = st.floats(-1, 1)


def mood(valence: float = 0.0, arousal: float = 0.0, stress: float = 0.5, confidence: float = 0.8) -> Mood:
    return Mood(
        Estimate(valence, 0.2), Estimate(arousal, 0.2), stress, {"neutral": 1.0}, (), 0.0, 900.0, confidence
    )


def taught(seed: int = 0, rewards: int = 60) -> Belief:
    """A belief after some random rewards."""
    rng = np.random.default_rng(seed)
    belief = prior()
    for _ in range(rewards):
        belief = belief.learn(rng.normal(size=SIZE) * 0.3, float(rng.random()))
    return belief


TAUGHT = taught()
moods = st.builds(mood, unit_interval, unit_interval, st.floats(0, 1), st.floats(0, 1))
contents = st.builds(
    Item,
    id=st.just(""),
    title=st.sampled_from(("slow jazz", "a walk", "fast food")),
    kind=st.sampled_from(("article", "music")),
    tags=st.lists(st.sampled_from(TAGS), max_size=3, unique=True).map(tuple),
    affinity=st.builds(Affinity, unit_interval, unit_interval, unit_interval),
    published_at=st.none() | st.just(1e6),
)
offers = st.builds(
    replace,
    contents,
    commercial=st.just(True),
    affinity=st.builds(Affinity, st.floats(-1, 0), st.floats(0, 1), unit_interval),
)
catalogues = st.lists(contents | offers, min_size=1, max_size=10).map(
    lambda items: tuple(replace(item, id=str(index)) for index, item in enumerate(items))
)
moments = st.builds(
    Moment,
    hour=st.none() | st.floats(0, 23.9),
    weekday=st.none() | st.integers(0, 6),
    place=st.sampled_from((None, "home", "out")),
    activity=st.sampled_from((None, "walking", "still")),
    searches=st.sampled_from(((), ("jazz",), ("food walk", "music"))),
)
algorithms = st.sampled_from((Exploration("linucb"), Exploration("thompson"), Exploration("linucb", 0.0)))
knobs_of = st.builds(
    Knobs,
    temperature=st.sampled_from((0.01, 0.05, 1.0)),
    exploration_budget=st.sampled_from((None, 0.01)),
    serendipity=st.sampled_from((0.0, 0.3, 1.0)),
)
seeds = st.integers(0, 1 << 30).map(str)
LIKES = Profile(interests=("music",))


LIKED = st.lists(st.integers(0, 9).map(str), max_size=4, unique=True).map(tuple)
"""What a person may have liked, of the catalogues here."""
BOTH = add_likes(Together(), [Like(str(n), tuple(str(m) for m in range(n))) for n in range(10)] * 4)
"""Four people who liked everything there is."""


def knowing(how: Exploration, table: ItemTable) -> Learned:
    """What was learned: weights, what is popular, and what is liked together."""
    return Learned(TAUGHT, how, np.array([0]), np.array([3.0]), neighbours=Neighbours(BOTH, table))


def places(slate: tuple[Recommendation, ...]) -> dict[str, int]:
    return {said.item.id: place for place, said in enumerate(slate)}


# The belief


def test_updating_one_by_one_comes_to_the_regression_over_all() -> None:
    rng = np.random.default_rng(1)
    x, r = rng.normal(size=(200, 12)), rng.random(200)
    belief = prior(12, ridge=2.0)
    for row, reward in zip(x, r, strict=True):
        belief = belief.learn(row, float(reward))
    solved = np.linalg.solve(2 * np.eye(12) + x.T @ x, x.T @ r)
    assert belief.mean == pytest.approx(solved)
    assert belief.covariance @ belief.precision == pytest.approx(np.eye(12), abs=1e-9)
    again = restore(belief.precision, belief.moment, belief.count)
    assert again.mean == pytest.approx(belief.mean)


def test_the_order_of_rewards_does_not_matter() -> None:
    rng = np.random.default_rng(2)
    rows = [(rng.normal(size=6), float(rng.random())) for _ in range(40)]
    one, other = prior(6), prior(6)
    for x, r in rows:
        one = one.learn(x, r)
    for x, r in reversed(rows):
        other = other.learn(x, r)
    assert one.mean == pytest.approx(other.mean)


def test_folding_over_the_context_is_the_same_as_the_outer_product() -> None:
    rng = np.random.default_rng(3)
    context, numbers = rng.normal(size=len(CONTEXT)), rng.normal(size=(5, len(ITEM)))
    numbers[:, COMMERCIAL] = 0.0
    inner = fold(TAUGHT, context, Exploration(width=1.0))
    for row, mean, deviation in zip(numbers, inner.expected(numbers), inner.bonus(numbers), strict=True):
        whole = choice_features(context, row)
        assert mean == pytest.approx(whole @ TAUGHT.mean)
        assert deviation == pytest.approx(math.sqrt(whole @ TAUGHT.covariance @ whole))


def test_what_is_expected_agrees_with_vowpal_wabbit() -> None:
    """Many passes of its online learner, ever smaller steps, approach the same least squares."""
    vowpal = pytest.importorskip("vowpalwabbit", reason="vowpalwabbit is not installed")
    rng = np.random.default_rng(4)
    x, truth = rng.normal(size=(300, 5)), np.array([0.3, -0.2, 0.5, 0.0, 0.1])
    r = x @ truth + 0.02 * rng.normal(size=300)
    belief = prior(5, ridge=1e-3)
    for row, reward in zip(x, r, strict=True):
        belief = belief.learn(row, float(reward))
    other = vowpal.Workspace("--noconstant --quiet -l 1 --power_t 0.5")
    texts = ["| " + " ".join(f"f{k}:{value:.9f}" for k, value in enumerate(row)) for row in x]
    for _ in range(30):
        for text, reward in zip(texts, r, strict=True):
            other.learn(f"{reward:.9f} {text}")
    theirs = np.array([other.predict(text) for text in texts])
    other.finish()
    assert np.abs(x @ belief.mean - theirs).max() < 0.05  # of predictions from -1.5 to 1.5


# Scores


@few
@given(catalogues, st.none() | moods, moments, algorithms, LIKED, seeds)
def test_a_score_is_the_sum_of_its_parts_and_of_its_reasons(
    items: tuple[Item, ...], m: Mood | None, moment: Moment, how: Exploration, liked: tuple[str, ...], seed: str
) -> None:
    table = lay_out(items)
    learned = knowing(how, table)
    rows = table.rows("en", 2e6)
    who = RankingContext(LIKES, m, moment, 2e6, learned, seed, likes=liked)
    scores = totals(view(table, rows, who), who)
    of = {table.items[row].id: score for row, score in zip(rows.tolist(), scores, strict=True)}
    more = {"moment": moment, "now": 2e6, "learned": learned, "likes": liked}
    for said in rank(table, LIKES, m, slots=20, seed=seed, **more):
        assert said.score == pytest.approx(sum(said.parts.values()))
        assert said.score == pytest.approx(sum(reason.part for reason in said.reasons), abs=1e-9)
        assert said.score == pytest.approx(of[said.item.id], abs=1e-6)


@few
@given(catalogues, moods, moments, algorithms, LIKED, seeds)
def test_what_an_item_would_score_without_the_mood_is_what_it_scores_without_the_mood(
    items: tuple[Item, ...], m: Mood, moment: Moment, how: Exploration, liked: tuple[str, ...], seed: str
) -> None:
    table = lay_out(items)
    more: dict[str, Any] = {
        "slots": 20,
        "seed": seed,
        "moment": moment,
        "learned": knowing(how, table),
        "likes": liked,
    }
    blind_scores = {said.item.id: said.score for said in rank(table, LIKES, None, **more)}
    for said in rank(table, LIKES, m, **more):
        without_mood = sum(part for name, part in said.parts.items() if not name.startswith("mood_"))
        assert without_mood == pytest.approx(blind_scores[said.item.id])


def test_popularity_fades_and_new_things_come_forward() -> None:
    day = 86_400.0
    items = [Item("old", "A", "article", published_at=0.0), Item("new", "B", "article", published_at=10 * day)]
    learned = Learned(prior(), Exploration(width=0.0), np.array([0]), np.array([5.0]), at=10 * day)
    now = {s.item.id: s for s in rank(items, Profile(), None, slots=2, seed="s", now=10 * day, learned=learned)}
    later = {s.item.id: s for s in rank(items, Profile(), None, slots=2, seed="s", now=17 * day, learned=learned)}
    assert now["new"].parts["freshness"] == pytest.approx(0.1)
    assert now["old"].parts["popularity"] == pytest.approx(0.5)
    assert later["old"].parts["popularity"] == pytest.approx(0.25)
    assert later["new"].parts["freshness"] < 0.02


def test_a_recent_search_brings_forward_what_matches_it() -> None:
    items = [Item("a", "slow jazz", "music"), Item("b", "a walk", "article")]
    (first, second) = rank(items, Profile(), None, slots=2, seed="s", moment=Moment(searches=("slow jazz",)))
    assert (first.item.id, first.reasons[0].code) == ("a", "search")
    assert second.parts["search"] == 0


def test_what_was_liked_in_a_moment_is_recommended_in_such_a_moment() -> None:
    items = [Item("run", "A", "music", tags=("fast",)), Item("rest", "B", "music", tags=("slow",))]
    numbers = {item.id: np.array(item_numbers(item)) for item in items}
    belief = prior()
    for activity, liked in (("running", "run"), ("still", "rest")) * 60:
        context = context_vector(Moment(activity=activity), None)  # type: ignore[arg-type]
        for item in items:
            belief = belief.learn(choice_features(context, numbers[item.id]), float(item.id == liked))
    learned = Learned(belief, Exploration(width=0.0))
    for activity, liked in (("running", "run"), ("still", "rest")):
        moment = Moment(activity=activity)  # type: ignore[arg-type]
        assert rank(items, Profile(), None, slots=1, seed="s", moment=moment, learned=learned)[0].item.id == liked


# The mood


def test_without_a_mood_its_numbers_are_zero() -> None:
    context = context_vector(Moment(hour=3.0), None)
    assert context.tolist() == blind(context_vector(Moment(hour=3.0), mood(0.5, 0.5, 0.9))).tolist()
    assert context_vector(Moment(), Mood.unsaid("late", 0.0)).tolist() == context_vector(Moment(), None).tolist()


@few
@given(moods)
def test_a_commercial_choice_has_no_features_of_the_mood(m: Mood) -> None:
    numbers = np.array(item_numbers(Item("a", "A", "offer", commercial=True)))
    felt = choice_features(context_vector(Moment(), m), numbers)
    assert felt.tolist() == choice_features(context_vector(Moment(), None), numbers).tolist()


@few
@given(catalogues, moods, st.floats(0, 1), moments, algorithms, knobs_of, LIKED, st.sampled_from((1, 3, 20)), seeds)
def test_more_stress_never_raises_the_score_or_place_of_anything_commercial_whatever_was_learned(
    items: tuple[Item, ...],
    m: Mood,
    more: float,
    moment: Moment,
    how: Exploration,
    knobs: Knobs,
    liked: tuple[str, ...],
    slots: int,
    seed: str,
) -> None:
    tense = replace(m, stress=m.stress + (1 - m.stress) * more)
    table = lay_out(items)
    given_all = {"moment": moment, "learned": knowing(how, table), "likes": liked, "knobs": knobs}
    calm_slate, tense_slate = (rank(table, LIKES, felt, slots=slots, seed=seed, **given_all) for felt in (m, tense))
    scores = {said.item.id: said.score for said in calm_slate}
    paid = [said.item.commercial for said in tense_slate]
    assert paid == sorted(paid)
    for said in tense_slate:
        if said.item.commercial:
            assert said.score <= scores[said.item.id]
            assert places(tense_slate)[said.item.id] >= places(calm_slate)[said.item.id]
            assert not any(name.startswith("mood") for name in said.parts)
            assert said.parts.get("together", 0.0) == 0


@few
@given(catalogues, moods, moments, algorithms, knobs_of, LIKED, seeds)
def test_knowing_the_mood_never_brings_anything_commercial_onto_a_slate_or_forward(
    items: tuple[Item, ...],
    m: Mood,
    moment: Moment,
    how: Exploration,
    knobs: Knobs,
    liked: tuple[str, ...],
    seed: str,
) -> None:
    table = lay_out(items)
    knobs = replace(knobs, serendipity=0.0)  # with diversity each place has luck of its own
    given_all = {"moment": moment, "learned": knowing(how, table), "likes": liked, "knobs": knobs}
    blind_slate, felt_slate = (rank(table, LIKES, felt, slots=20, seed=seed, **given_all) for felt in (None, m))
    for said in felt_slate:
        if said.item.commercial:
            assert places(felt_slate)[said.item.id] >= places(blind_slate)[said.item.id]


@few
@given(catalogues, moods, moments, algorithms, seeds)
def test_how_much_is_explored_does_not_depend_on_the_mood(
    items: tuple[Item, ...], m: Mood, moment: Moment, how: Exploration, seed: str
) -> None:
    knobs, learned = Knobs(exploration_budget=0.005), Learned(TAUGHT, how)
    more: dict[str, Any] = {"slots": 3, "seed": seed, "moment": moment, "learned": learned, "knobs": knobs}
    assert ranking_of(items, LIKES, m, **more).temperature == ranking_of(items, LIKES, None, **more).temperature


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("price_eur", "attribute_price"),
        ("unitPrice", "attribute_price"),
        ("discount", "attribute_price"),
        ("creditScore", "attribute_eligibility"),
        ("is_eligible", "attribute_eligibility"),
        ("queuePosition", "attribute_queue"),
        ("priority", "attribute_queue"),
    ],
)
def test_price_eligibility_and_queue_order_are_no_features_of_an_item(name: str, code: str) -> None:
    with pytest.raises(Invalid) as refused:
        check(Catalogue("1", (Item("a", "A", "article", features={name: 0.5}),)))
    assert refused.value.code == code


@pytest.mark.parametrize("name", ["mood", "stress_level", "heartRate", "voicePitch", "sentiment"])
def test_a_context_may_not_smuggle_in_a_mood(name: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_names(["hour", name], OF_CONTEXTS, "a context")
    assert refused.value.code == "attribute_mood"


def test_all_faults_of_a_catalogue_are_told_with_their_places() -> None:
    good = Item("a", "A", "article")
    bad = (good, good, replace(good, id="c", features={"price": 0.1, "tempo": 7.0}))
    assert [(fault.index, fault.code) for fault in faults(Catalogue("1", bad))] == [
        (1, "item_id"),
        (2, "attribute_price"),
        (2, "item_features"),
    ]


@pytest.mark.parametrize("name", ["published_at", "available_from", "available_until"])
@pytest.mark.parametrize("at", [1764000000000, 1764000000000.5, -1764000000000, 1e11, 1.764e18, math.inf, math.nan])
def test_a_time_that_can_not_be_unix_seconds_is_refused_by_its_name(name: str, at: float) -> None:
    (fault,) = faults(Catalogue("1", (Item("a", "A", "article", **{name: at}),)))  # type: ignore[arg-type]
    assert fault.code == "item_time"
    assert f"`{name}` of 'a' must be Unix seconds" in fault.says
    assert ("divide it by 1000" in fault.says) == (1e11 <= abs(at) < 1e14)


@pytest.mark.parametrize("at", [0.0, -2_208_988_800.0, 1764000000, 4102444800.0, 99_999_999_999.0])
def test_unix_seconds_are_taken(at: float) -> None:
    assert not list(faults(Catalogue("1", (Item("a", "A", "article", available_until=at),))))


def test_an_item_that_is_gone_before_it_is_there_is_a_fault() -> None:
    (fault,) = faults(Catalogue("1", (Item("a", "A", "article", available_from=9.0, available_until=9.0),)))
    assert (fault.code, "never there" in fault.says) == ("item_time", True)


@pytest.mark.parametrize(("size", "taken"), [(1, True), (256, True), (257, False), (300, False), (100_000, False)])
def test_an_item_id_has_one_limit(size: int, taken: bool) -> None:
    found = list(faults(Catalogue("1", (Item("ä" * size, "A", "article"),))))
    assert [fault.code for fault in found] == ([] if taken else ["item_id"])
    assert all("at most 256 characters" in fault.says for fault in found)
    assert all(len(fault.says) < 200 for fault in found)


# What may be recommended


def test_what_is_not_available_is_not_recommended() -> None:
    items = [
        Item("on", "A", "article"),
        Item("off", "B", "article", available=False),
        Item("soon", "C", "article", available_from=100.0),
        Item("over", "D", "article", available_until=50.0),
    ]
    assert {s.item.id for s in rank(items, Profile(), None, slots=9, seed="s", now=60.0)} == {"on"}
    assert {s.item.id for s in rank(items, Profile(), None, slots=9, seed="s", now=100.0)} == {"on", "soon"}
    assert {s.item.id for s in rank(items, Profile(), None, slots=9, seed="s", now=0.0)} == {"on", "over"}


def test_only_candidates_are_recommended_and_no_offers_where_none_may_be() -> None:
    items = [Item("a", "A", "article"), Item("b", "B", "article"), Item("c", "C", "offer", commercial=True)]
    assert {s.item.id for s in rank(items, Profile(), None, slots=9, seed="s", candidates=["b", "x"])} == {"b"}
    assert {s.item.id for s in rank(items, Profile(), None, slots=9, seed="s", offers=False)} == {"a", "b"}


# Slates


def test_diverse_slates_come_as_often_as_their_propensities_say() -> None:
    scores, temperature, s = np.array([0.3, 0.28, 0.2]), 0.1, 0.5
    vectors = unit(np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0]]))
    chances: dict[tuple[int, ...], float] = {}
    seen: Counter[tuple[int, ...]] = Counter()
    draws = 4000
    for n in range(draws):
        slate = draw_diverse(scores, vectors, 3, temperature, s, generator(f"d{n}"))
        order = tuple(one.row for one in slate)
        seen[order] += 1
        chances[order] = math.prod(one.propensity for one in slate)
    assert set(chances) == set(permutations(range(3)))
    assert sum(chances.values()) == pytest.approx(1)
    chi_square = sum((seen[order] - draws * p) ** 2 / (draws * p) for order, p in chances.items())
    assert chi_square < 20.5  # the .999 quantile for 5 degrees of freedom


@few
@given(st.integers(1, 3000), st.sampled_from((0.0, 0.4, 1.0)), seeds)
def test_propensities_of_diverse_slates_are_those_of_the_definition(count: int, s: float, seed: str) -> None:
    rng = generator(seed)
    scores, vectors, temperature = rng.normal(size=count) * 0.2, unit(rng.normal(size=(count, 4))), 0.1
    scores[rng.random(count) < 0.2] = -np.inf
    slots = min(4, int(np.isfinite(scores).sum()))
    above: list[int] = []
    for drawn in draw_diverse(scores, vectors, slots, temperature, s, generator(seed, "draw")):
        likeness = (vectors @ vectors[above].T).max(axis=1) if above else np.zeros(count)
        marginal = (1 - s) * scores - s * likeness if above and s < 1 else scores if not above else -likeness
        weights = np.exp(marginal / temperature)
        weights[[*above, *np.flatnonzero(np.isneginf(scores))]] = 0.0
        assert drawn.propensity == pytest.approx(weights[drawn.row] / weights.sum())
        above.append(drawn.row)


def test_an_improbable_item_keeps_a_propensity_and_an_order() -> None:
    slate = draw(np.array([0.0, -1e6, -2e6]), np.zeros(3), 3, 0.05)
    assert [one.row for one in slate] == [0, 1, 2]
    assert all(0 < one.propensity <= 1 for one in slate)


@few
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.floats(0.001, 0.5))
def test_exploring_keeps_to_its_budget(scores: list[float], budget: float) -> None:
    knobs = Knobs(temperature=2.0, exploration_budget=budget)
    found = np.array(scores)
    temperature = temperature_of(found, knobs)
    assert expected_loss(found, temperature) <= budget + 1e-9
    assert temperature <= 2.0


def test_serendipity_buys_variety_at_a_price_that_is_told() -> None:
    items = [Item(f"m{n}", "A", "music", tags=("music",)) for n in range(8)]
    items += [Item(f"c{n}", "B", "article", tags=("cooking",)) for n in range(2)]
    plain = ranking_of(items, LIKES, None, slots=4, seed="s")
    diverse = ranking_of(items, LIKES, None, slots=4, seed="s", knobs=Knobs(serendipity=0.6))
    assert {said.item.kind for said in plain.slate} == {"music"}
    assert {said.item.kind for said in diverse.slate} == {"music", "article"}
    assert plain.price.expected_reward == 0
    assert diverse.price.expected_reward > 0
    assert diverse.price.likeness > 0


@few
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=12), st.floats(0, 1))
def test_the_price_of_diversity_is_never_negative(scores: list[float], s: float) -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(len(scores), 3)))
    assert price(np.array(scores), vectors, 3, s).expected_reward >= -1e-12


def test_a_narrow_person_gets_more_variety_and_a_broad_one_does_not() -> None:
    kinds = {"news": 5, "music": 5, "exercise": 5}
    narrow, broad = bubble(["news"] * 40, kinds), bubble(["news", "music", "exercise"] * 13, kinds)
    turning = bubble(["news", "music", "exercise"] * 7 + ["news"] * 21, kinds)
    assert narrow.coverage == pytest.approx(1 / 3)
    assert narrow.acts
    assert (broad.coverage, broad.acts) == (1.0, False)
    assert turning.drift > broad.drift
    assert widen(Knobs(), narrow).serendipity > 0
    assert widen(Knobs(), broad) == Knobs()
    assert not bubble(["news"] * 5, kinds).acts  # too few to say
