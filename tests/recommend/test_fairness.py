"""Who was shown what and what came of it: intervals that hold, small groups that say nothing, known differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from assistant.arrays import Floats
from assistant.recommend.holdout import measure_uplift
from assistant.recommend.measures.fairness import FEWEST, GroupExposure, compare_groups
from assistant.recommend.measures.interval import (
    compare_shares,
    count_effective,
    estimate_mean,
    estimate_share,
    newcombe_interval,
    widen_z,
    wilson_interval,
)
from assistant.recommend.measures.rates import Came, Piece, Shown, compare_arms, compute_rates

MUSIC, OFFER = Piece("song", "music", False), Piece("sale", "voucher", True)


def people(group: str, count: int, offers: Floats, *, slates: int = 4, seed: int = 0) -> list[Shown]:
    """Each with some slates of one item, which is an offer with their own probability."""
    rng = np.random.default_rng(seed)
    return [
        Shown(f"{group}{n}", 0.0, (OFFER if rng.random() < offers[n] else MUSIC,))
        for n in range(count)
        for _ in range(slates)
    ]


def groups_of(shown: Sequence[Shown]) -> dict[str, GroupExposure]:
    declared = {one.person: one.person.rstrip("0123456789") for one in shown}
    return {group.name or "": group for group in compare_groups(shown, declared)}


# Intervals


def test_intervals_of_shares_hold_at_the_ends() -> None:
    assert wilson_interval(0, 20)[0] == 0
    assert wilson_interval(20, 20)[1] == 1
    assert wilson_interval(0, 0) == (0.0, 1.0)
    assert newcombe_interval(0, 0, 5, 10) == (-1.0, 1.0)
    assert (
        estimate_share(np.zeros(40), np.full(40, 50.0)).high > 0.05
    )  # nobody of 40 people says little of the next one


@pytest.mark.parametrize(("alike", "truth"), [(1.0, 0.01), (2.0, 0.05), (2.0, 0.3), (50.0, 0.3)])
def test_intervals_over_people_hold_the_truth_about_as_often_as_they_say(alike: float, truth: float) -> None:
    """People differ (beta-binomial), and some have ten times as many decisions as others."""
    held, naive, rounds = 0, 0, 400
    rng = np.random.default_rng(1)
    for _ in range(rounds):
        trials = rng.integers(1, 30, size=80).astype(np.float64)
        own = rng.beta(truth * alike, (1 - truth) * alike, size=80)
        hits = rng.binomial(trials.astype(np.int64), own).astype(np.float64)
        found = estimate_share(hits, trials)
        held += found.low <= truth <= found.high
        low, high = wilson_interval(hits.sum(), trials.sum())
        naive += low <= truth <= high
    assert held / rounds > 0.91
    if alike < 10:
        assert naive / rounds < 0.8  # as if every decision were a person


def test_an_interval_of_a_difference_holds_no_difference_about_as_often_as_it_says() -> None:
    rng, held = np.random.default_rng(2), 0
    for _ in range(300):
        trials = rng.integers(1, 20, size=120).astype(np.float64)
        hits = rng.binomial(trials.astype(np.int64), rng.beta(0.8, 3.2, size=120)).astype(np.float64)
        found = compare_shares(hits[:40], trials[:40], hits[40:], trials[40:])
        held += found.low <= 0 <= found.high
    assert held / 300 > 0.91


def test_one_person_with_a_thousand_decisions_is_one_person() -> None:
    hits, trials = np.zeros(50), np.ones(50)
    hits[0] = trials[0] = 1000.0
    assert count_effective(hits, trials)[1] < 2
    assert estimate_share(hits, trials).low < 0.4


def test_more_comparisons_widen_the_interval() -> None:
    assert widen_z(1) < widen_z(10) < widen_z(1000)


def test_a_mean_stays_a_mean_of_rewards() -> None:
    found = estimate_mean(np.array([0.0] * 40 + [0.01]))
    assert found.low == 0.0 < found.value < found.high


# Groups


def test_a_small_group_is_insufficient_evidence_never_a_pass_and_enters_no_number() -> None:
    large = people("a", 60, np.full(60, 0.5)) + people("b", 60, np.full(60, 0.5), seed=1)
    small = people("c", FEWEST - 1, np.ones(FEWEST - 1))
    alone, beside = groups_of(large), groups_of(large + small)
    assert beside["c"].offers is None
    assert not beside["c"].kinds
    assert beside["c"].people == FEWEST - 1
    assert beside["a"].offers == alone["a"].offers


def test_the_only_large_group_is_compared_with_nobody() -> None:
    found = groups_of(people("a", 60, np.full(60, 0.5)) + people("b", 5, np.zeros(5)))["a"]
    assert found.offers is not None
    assert found.offers.difference is None
    assert found.offers.verdict == "insufficient evidence"


def test_a_group_that_sees_more_offers_is_found_and_equal_groups_are_not_called_fair() -> None:
    unequal = groups_of(people("a", 200, np.full(200, 0.25)) + people("b", 200, np.full(200, 0.5), seed=1))
    for name in "ab":
        offers = unequal[name].offers
        assert offers is not None
        assert offers.verdict == "differs"
        assert unequal[name].kinds["voucher"].verdict == "differs"
    shown = unequal["b"].offers
    assert shown is not None
    assert shown.difference is not None
    assert shown.figure.value == pytest.approx(0.5, abs=0.05)
    assert shown.difference.low < 0.25 < shown.difference.high
    equal = groups_of(people("a", 200, np.full(200, 0.4)) + people("b", 200, np.full(200, 0.4), seed=1))
    assert equal["a"].offers is not None
    assert equal["a"].offers.verdict == "no difference found"
    assert equal["a"].offers.difference is not None
    assert equal["a"].offers.difference.low < 0 < equal["a"].offers.difference.high


def test_equal_groups_seldom_differ_however_many_figures_are_compared() -> None:
    rng, loud = np.random.default_rng(0), 0
    for _ in range(20):
        shown = [
            Shown(f"{'abc'[n % 3]}{n}", 0.0, tuple(Piece(f"i{i}", f"k{i}", False) for i in rng.permutation(12)[:4]))
            for n in range(240)
        ]
        for group in groups_of(shown).values():
            loud += any(one.verdict == "differs" for one in (*group.kinds.values(), *group.items.values()))
    assert loud <= 6  # of 60; about 3 with a family-wise error of 5 % for each report of three groups


def test_a_few_with_many_decisions_do_not_make_a_group_differ() -> None:
    """Ten people of one group see nothing but offers, each of them a hundred times."""
    often = [Shown(f"a{n}", 0.0, (OFFER,)) for n in range(10) for _ in range(100)]
    rest = people("a", 60, np.full(60, 0.3))[40:] + people("b", 60, np.full(60, 0.3), seed=1)
    found = groups_of(often + rest)["a"].offers
    assert found is not None
    assert found.figure.value > 0.8
    assert found.figure.high - found.figure.low > 0.1


def test_people_who_declared_nothing_are_a_group_without_a_name() -> None:
    shown = people("a", 40, np.full(40, 0.5))
    found = compare_groups(shown, dict.fromkeys((one.person for one in shown), None))
    assert [(group.name, group.people) for group in found] == [(None, 40)]


# What came of it


def _slates(count: int, *kinds: Any, arm: Any = None, name: str = "p", each: int = 2) -> list[Shown]:
    came = tuple(Came(kind, worth) for kind, worth in kinds)
    return [Shown(f"{name}{n}", 0.0, (MUSIC,), came, arm) for n in range(count) for _ in range(each)]


def test_a_rate_is_the_share_of_decisions_with_such_a_reward() -> None:
    found = compute_rates(_slates(30, ("click", 0.3), ("click", 0.3)) + _slates(90, name="q"))
    assert found.kinds["click"].value == pytest.approx(0.25)  # two clicks on one slate are one slate
    assert found.kinds["conversion"].value == 0.0
    assert found.kinds["conversion"].high > 0.0
    assert found.reward is not None
    assert found.reward.value == pytest.approx(0.075)


def test_rates_of_few_people_are_not_told() -> None:
    found = compute_rates(_slates(29, ("click", 0.3), each=50))
    assert (found.people, found.kinds, found.reward) == (29, {}, None)


def test_what_was_not_rewarded_counts_as_nothing_where_the_mood_is_measured() -> None:
    """An app that only tells of clicks: the mood's arm clicks twice as often, and each click is worth the same."""
    shown = _slates(60, ("click", 0.3), arm="mood") + _slates(40, arm="mood", name="q")
    shown += _slates(30, ("click", 0.3), arm="blind", name="r") + _slates(70, arm="blind", name="s")
    found = compare_arms(shown)
    assert found.reward == pytest.approx({"mood": 0.18, "blind": 0.09})
    assert found.verdict == "helps"
    assert found.people == {"mood": 100, "blind": 100}


def test_many_people_do_not_change_how_the_uplift_is_measured() -> None:
    rng = np.random.default_rng(0)
    many = {arm: [[float(x)] for x in rng.random(3000) < 0.5] for arm in ("mood", "blind")}
    found = measure_uplift(many)  # type: ignore[arg-type]
    assert found.figure.high - found.figure.low == pytest.approx(2 * 1.96 * np.sqrt(2 * 0.25 / 3000), rel=0.1)
