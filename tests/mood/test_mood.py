"""Readings become a mood: by precision, over time, and relative to how the person usually is."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.emotion import EMOTIONS, NO_BASELINE, Baseline, Estimate, Evidence, Modality, Mood, Reading
from assistant.mood.baseline import (
    BLUR,
    KNOWN_AFTER,
    PRIOR_COUNT,
    STORED_COUNT,
    blur_baseline,
    update_baseline,
    usual_from,
)
from assistant.mood.conformal import LARGEST
from assistant.mood.fusion import CARRY, IGNORANCE, TRUST, USUAL_STRESS, Aged, HalfLives, abstain_if_unsure, fuse
from assistant.mood.timeline import Timeline
from assistant.server.contract.shapes import show_mood

few = settings(max_examples=30, deadline=None)

NOW = 1_800_000_000.0
HALF_LIFE = 60.0
EXPIRES = 900.0


def reading(
    modality: Modality = "text",
    valence: tuple[float, float] = (0.0, 0.3),
    arousal: tuple[float, float] = (0.0, 0.3),
    stress: float = 0.5,
    **more: Any,
) -> Reading:
    more.setdefault("emotions", {"neutral": 1.0})
    return Reading(modality, Estimate(*valence), Estimate(*arousal), stress, **more)


def fused(*aged: tuple[Reading, float]) -> Mood:
    mood = fuse([Aged(r, age) for r, age in aged], now=NOW, half_life_s=HALF_LIFE, expires_s=EXPIRES)
    assert mood is not None
    return mood


def timeline() -> Timeline:
    return Timeline(half_life_s=HALF_LIFE, expires_s=EXPIRES)


# Fusion


def test_nothing_read_is_no_mood() -> None:
    assert fuse([], now=NOW, half_life_s=HALF_LIFE, expires_s=EXPIRES) is None


def test_one_fresh_reading_fuses_to_itself() -> None:
    said = reading("voice", (0.4, 0.2), (-0.3, 0.25), 0.7, emotions={"joy": 0.75, "neutral": 0.25})
    mood = fused((said, 0.0))
    assert (mood.valence.mean, mood.valence.deviation) == pytest.approx((0.4, 0.2))
    assert (mood.arousal.mean, mood.arousal.deviation) == pytest.approx((-0.3, 0.25))
    assert mood.stress == pytest.approx(0.7)
    assert mood.emotions == pytest.approx({"joy": 0.75, "neutral": 0.25})
    assert [(e.modality, e.weight, e.age_s) for e in mood.evidence] == [("voice", 1.0, 0.0)]
    assert (mood.at, mood.expires_at) == (NOW, NOW + EXPIRES)
    assert mood.confidence == pytest.approx(1 - math.sqrt(0.2 * 0.25) / IGNORANCE)
    assert not mood.disagreement


def test_two_modalities_count_by_their_precision() -> None:
    # precisions 100 and 25: (0.2 * 100 + 0.5 * 25) / 125 = 0.26, and 1 / sqrt(125)
    mood = fused(
        (reading("voice", valence=(0.2, 0.1), arousal=(0.0, 0.1)), 0.0),
        (reading("text", valence=(0.5, 0.2), arousal=(0.3, 0.2)), 0.0),
    )
    assert mood.valence.mean == pytest.approx(0.26)
    assert mood.valence.deviation == pytest.approx(1 / math.sqrt(125))
    assert mood.arousal.mean == pytest.approx(0.06)
    assert [e.weight for e in mood.evidence] == pytest.approx([0.8, 0.2])
    assert not mood.disagreement


def test_the_stress_of_two_modalities_is_averaged_in_log_odds() -> None:
    # equal weights: odds 9 and 1 give odds 3
    mood = fused((reading("voice", stress=0.9), 0.0), (reading("text", stress=0.5), 0.0))
    assert mood.stress == pytest.approx(0.75)


def test_the_emotions_of_two_modalities_are_pooled_by_their_logarithms() -> None:
    mood = fused(
        (reading("voice", emotions={"anger": 0.8, "joy": 0.2}), 0.0),
        (reading("text", emotions={"anger": 0.4, "joy": 0.6}), 0.0),
    )
    odds = (0.8 / 0.2) ** TRUST["voice"] * (0.4 / 0.6) ** TRUST["text"]
    assert mood.emotions == pytest.approx({"anger": odds / (1 + odds), "joy": 1 / (1 + odds)})


def test_a_text_that_says_nothing_of_the_emotions_does_not_change_which_is_likeliest() -> None:
    voice = reading("voice", emotions={"anger": 0.5, "joy": 0.3, "fear": 0.2})
    flat = reading("text", emotions=dict.fromkeys(("anger", "joy", "fear"), 1 / 3))
    mood = fused((voice, 0.0), (flat, 0.0))
    assert sorted(mood.emotions, key=mood.emotions.__getitem__) == ["fear", "joy", "anger"]


def test_one_modality_alone_never_rules_an_emotion_out() -> None:
    voice = reading("voice", emotions={"anger": 0.0, "joy": 1.0})
    text = reading("text", emotions={"anger": 1.0, "joy": 0.0})
    assert all(p > 0 for p in fused((voice, 0.0), (text, 0.0)).emotions.values())


def test_the_newest_reading_counts_most_however_soon_it_follows() -> None:
    mood = fused((reading(valence=(0.0, 0.3)), 0.0), (reading(valence=(0.9, 0.3)), 1e-9))
    assert mood.valence.mean == pytest.approx(0.9 * CARRY / (1 + CARRY))


def test_an_earlier_reading_counts_half_after_each_half_life() -> None:
    for lives in (1, 2):
        mood = fused((reading(valence=(0.0, 0.3)), 0.0), (reading(valence=(0.9, 0.3)), lives * HALF_LIFE))
        weight = CARRY / 2**lives
        assert mood.valence.mean == pytest.approx(0.9 * weight / (1 + weight))


def test_each_dimension_has_a_half_life_of_its_own() -> None:
    lives = HalfLives.scaled(HALF_LIFE)
    assert lives.valence_s == HALF_LIFE
    old = reading(valence=(0.8, 0.3), arousal=(0.8, 0.3), emotions={"joy": 1.0, "neutral": 0.0})
    new = reading(valence=(0.0, 0.3), arousal=(0.0, 0.3), emotions={"joy": 0.0, "neutral": 1.0})
    mood = fused((new, 0.0), (old, lives.arousal_s))
    arousal = CARRY / 2
    valence = CARRY * 2 ** (-lives.arousal_s / lives.valence_s)
    emotions = CARRY * 2 ** (-lives.arousal_s / lives.emotions_s)
    assert mood.arousal.mean == pytest.approx(0.8 * arousal / (1 + arousal))
    assert mood.valence.mean == pytest.approx(0.8 * valence / (1 + valence))
    assert mood.emotions["joy"] == pytest.approx(emotions / (1 + emotions))
    assert mood.valence.mean > mood.arousal.mean


def test_how_sure_an_earlier_message_was_does_not_make_it_count_more_now() -> None:
    sure, unsure = reading(valence=(0.9, 0.1)), reading(valence=(0.9, 0.8))
    now = reading(valence=(0.0, 0.5))
    means = [fused((now, 0.0), (before, 5.0)).valence.mean for before in (sure, unsure)]
    assert means[0] == pytest.approx(means[1])


def test_stress_and_emotions_fade_to_what_is_usual_of_nobody_in_particular() -> None:
    said = reading(stress=0.95, emotions={"anger": 0.9, "joy": 0.05, "neutral": 0.05})
    moods = [fused((said, age)) for age in (0.0, 30.0, 120.0, 880.0)]
    stress = [mood.stress for mood in moods]
    anger = [mood.emotions["anger"] for mood in moods]
    assert stress == sorted(stress, reverse=True)
    assert anger == sorted(anger, reverse=True)
    assert stress[-1] == pytest.approx(USUAL_STRESS, abs=0.01)
    assert anger[-1] == pytest.approx(1 / 3, abs=0.01)


def test_more_windows_of_the_same_voice_do_not_make_it_surer() -> None:
    mood = fused(*[(reading("voice", (0.1, 0.3)), 0.0)] * 20)
    assert mood.valence.deviation == pytest.approx(0.3)


def test_an_older_mood_is_wider_by_the_root_of_two_for_each_half_life() -> None:
    young, old = fused((reading(), 0.0)), fused((reading(), HALF_LIFE))
    assert old.valence.mean == pytest.approx(young.valence.mean)
    assert old.valence.deviation == pytest.approx(young.valence.deviation * math.sqrt(2))
    assert old.confidence < young.confidence
    assert (old.at, old.expires_at) == (NOW - HALF_LIFE, NOW - HALF_LIFE + EXPIRES)


def test_an_old_modality_counts_less_than_a_fresh_one() -> None:
    mood = fused((reading("voice", (-0.3, 0.3)), 0.0), (reading("text", (0.3, 0.3)), HALF_LIFE))
    assert mood.valence.mean == pytest.approx(-0.1)  # precisions 2 to 1
    voice, text = (e.weight for e in mood.evidence)
    assert voice > 2 / 3 > 1 / 3 > text  # arousal fades faster
    assert voice + text == pytest.approx(1)


def test_a_poor_input_counts_less_than_a_good_one() -> None:
    mood = fused((reading(valence=(0.0, 0.3)), 0.0), (reading(valence=(0.8, 0.3), quality=0.25), 0.0))
    assert mood.valence.mean == pytest.approx(0.16)


def test_modalities_that_disagree_widen_the_mood_and_say_so() -> None:
    far = fused((reading("voice", (-0.8, 0.1)), 0.0), (reading("text", (0.8, 0.1)), 0.0))
    near = fused((reading("voice", (-0.05, 0.1)), 0.0), (reading("text", (0.05, 0.1)), 0.0))
    assert far.disagreement
    assert not near.disagreement
    assert far.valence.mean == pytest.approx(0.0)
    # half the precision is 1/200, the spread 0.64
    assert far.valence.deviation == pytest.approx(math.sqrt(1 / 200 + 0.64))
    assert near.valence.deviation == pytest.approx(math.sqrt(1 / 200))
    assert far.confidence < near.confidence


def test_windows_of_one_modality_that_differ_are_no_disagreement() -> None:
    mood = fused((reading("voice", (-0.9, 0.1)), 0.0), (reading("voice", (0.9, 0.1)), 1.0))
    assert not mood.disagreement


def test_a_modality_that_abstained_is_absent_not_calm() -> None:
    alone = fused((reading("voice", (-0.7, 0.2), stress=0.9), 0.0))
    assert [e.modality for e in alone.evidence] == ["voice"]
    assert alone.valence.mean == pytest.approx(-0.7)
    assert alone.stress == pytest.approx(0.9)


def test_a_reading_of_no_quality_alone_does_not_break_the_fusion() -> None:
    mood = fuse([Aged(reading(quality=0.0), 0.0)], now=NOW, half_life_s=HALF_LIFE, expires_s=EXPIRES)
    assert mood is None or math.isfinite(mood.valence.mean)


def test_an_estimate_without_finite_numbers_is_refused() -> None:
    for mean, deviation in ((math.nan, 0.1), (math.inf, 0.1), (0.0, 0.0), (0.0, -1.0), (0.0, math.nan)):
        with pytest.raises(ValueError, match="finite mean"):
            Estimate(mean, deviation)


# What is too uncertain is not said


def test_a_mood_that_says_nothing_of_anything_abstains_with_its_reasons() -> None:
    vague = fused((reading(valence=(-0.9, 0.7), arousal=(0.9, 0.8), stress=0.4), 0.0))
    mood = abstain_if_unsure(vague)
    assert mood.abstained == "too_uncertain"
    assert mood.unsure == ("valence_too_wide", "arousal_too_wide", "emotion_not_calibrated")
    assert show_mood(mood).valence is None
    assert show_mood(mood).emotions == {}
    assert (mood.at, mood.expires_at, mood.evidence) == (vague.at, vague.expires_at, vague.evidence)


@pytest.mark.parametrize(
    "known",
    [
        {"valence": (-0.9, 0.2)},
        {"arousal": (0.9, 0.2)},
        {"stress": 0.9},
    ],
    ids=lambda known: next(iter(known)),
)
def test_one_thing_that_is_clear_enough_keeps_the_mood(known: dict[str, Any]) -> None:
    vague: dict[str, Any] = {"valence": (-0.9, 0.7), "arousal": (0.9, 0.8), "stress": 0.4}
    mood = abstain_if_unsure(fused((reading(**{**vague, **known}), 0.0)))
    assert mood.abstained is None


def test_a_set_of_many_emotions_is_dropped_and_a_small_one_kept() -> None:
    clear = fused((reading(), 0.0))
    small = abstain_if_unsure(replace(clear, emotion_set=("sadness", "neutral")))
    large = abstain_if_unsure(replace(clear, emotion_set=EMOTIONS[: LARGEST + 1]))
    assert (small.emotion_set, small.unsure) == (("sadness", "neutral"), ())
    assert (large.emotion_set, large.unsure, large.abstained) == ((), ("emotion_set_too_large",), None)


def test_what_a_person_said_of_themself_is_never_too_uncertain() -> None:
    vague = fused((reading(valence=(-0.9, 0.7), arousal=(0.9, 0.8), stress=0.0), 0.0))
    said = replace(vague, evidence=(*vague.evidence, Evidence("correction", 1.0, 2.0)))
    assert abstain_if_unsure(vague).abstained == "too_uncertain"
    assert abstain_if_unsure(said).abstained is None


def test_a_mood_grows_too_uncertain_before_it_expires() -> None:
    line = timeline()
    line.add_reading(reading(valence=(0.6, 0.3), stress=0.9), NOW)
    told = [line.mood(NOW + age, ["text"]) for age in (0.0, 30.0, 600.0)]
    assert [mood is not None and mood.abstained for mood in told] == [None, None, "too_uncertain"]


# Properties

estimates = st.builds(Estimate, st.floats(-1, 1), st.floats(0.01, 2))
distributions = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(
    lambda weights: {name: w / sum(weights) for name, w in zip(EMOTIONS, weights, strict=True)}
)
readings = st.builds(
    Reading,
    modality=st.sampled_from(("voice", "text")),
    valence=estimates,
    arousal=estimates,
    stress=st.floats(0, 1),
    emotions=distributions,
    quality=st.floats(0.01, 1),
)
aged_readings = st.lists(st.builds(Aged, readings, st.floats(0, EXPIRES)), min_size=1, max_size=8)


@few
@given(aged_readings)
def test_a_fused_mean_lies_between_the_means_of_the_readings(aged: list[Aged]) -> None:
    mood = fused(*[(a.reading, a.age_s) for a in aged])
    for name in ("valence", "arousal"):
        means = [getattr(a.reading, name).mean for a in aged]
        assert min(means) - 1e-9 <= getattr(mood, name).mean <= max(means) + 1e-9


@few
@given(aged_readings)
def test_a_mood_is_always_finite_and_in_range(aged: list[Aged]) -> None:
    mood = fused(*[(a.reading, a.age_s) for a in aged])
    assert 0 <= mood.stress <= 1
    assert 0 <= mood.confidence <= 1
    assert sum(mood.emotions.values()) == pytest.approx(1)
    assert sum(e.weight for e in mood.evidence) == pytest.approx(1)
    for estimate in (mood.valence, mood.arousal):
        assert math.isfinite(estimate.mean)
        assert 0 < estimate.deviation < math.inf


@few
@given(aged_readings)
def test_the_order_of_the_readings_does_not_matter(aged: list[Aged]) -> None:
    one, other = (fused(*[(a.reading, a.age_s) for a in some]) for some in (aged, aged[::-1]))
    assert one.valence.mean == pytest.approx(other.valence.mean, abs=1e-9)
    assert one.stress == pytest.approx(other.stress, abs=1e-9)
    assert one.disagreement == other.disagreement


@pytest.mark.parametrize(("age_s", "half_life_s"), [(900.0, 0.1), (899.9, 0.4), (1e9, 60.0), (0.0, 1e-3)])
def test_no_age_and_no_half_life_breaks_the_fusion(age_s: float, half_life_s: float) -> None:
    # the settings allow a half-life much shorter than the expiry
    mood = fuse([Aged(reading(), age_s)], now=NOW, half_life_s=half_life_s, expires_s=2e9)
    assert mood is not None
    assert math.isfinite(mood.valence.mean)
    assert 0 <= mood.stress <= 1


# The timeline


def test_a_mood_is_gone_when_it_expires() -> None:
    line = timeline()
    line.add_reading(reading(), NOW)
    assert line.mood(NOW + EXPIRES - 1, ["text"]) is not None
    assert line.mood(NOW + EXPIRES, ["text"]) is None


def test_a_mood_says_when_it_expires() -> None:
    line = timeline()
    line.add_reading(reading(), NOW)
    mood = line.mood(NOW + 100, ["text"])
    assert mood is not None
    assert (mood.at, mood.expires_at) == (NOW, NOW + EXPIRES)


def test_only_the_modalities_asked_for_tell_of_the_mood() -> None:
    line = timeline()
    line.add_reading(reading("voice", (-0.5, 0.2)), NOW)
    line.add_reading(reading("text", (0.5, 0.2)), NOW)
    mood = line.mood(NOW, ["text"])
    assert mood is not None
    assert mood.valence.mean == pytest.approx(0.5)
    assert line.mood(NOW, []) is None


def test_a_glimpse_is_replaced_by_the_next_and_by_the_whole_utterance() -> None:
    line = timeline()

    def valence() -> float:
        mood = line.mood(NOW + 3, ["voice"])
        assert mood is not None
        return mood.valence.mean

    line.set_interim(reading("voice", (-0.9, 0.2)), NOW)
    line.set_interim(reading("voice", (-0.5, 0.2)), NOW + 1)
    assert valence() == pytest.approx(-0.5)
    line.add_reading(reading("voice", (0.4, 0.2)), NOW + 3)
    assert valence() == pytest.approx(0.4)


def test_a_message_leaves_the_glimpse_of_a_voice_alone() -> None:
    line = timeline()
    line.set_interim(reading("voice", (-0.5, 0.2)), NOW)
    line.add_reading(reading("text", (0.5, 0.2)), NOW)
    mood = line.mood(NOW, ["voice"])
    assert mood is not None
    assert mood.valence.mean == pytest.approx(-0.5)


def test_a_glimpse_teaches_the_baseline_nothing() -> None:
    line = timeline()
    line.set_interim(reading("voice", observation=(0.1, 0.2)), NOW)
    assert line.baseline("voice") == NO_BASELINE


def test_forgetting_one_modality_leaves_the_other() -> None:
    line = timeline()
    for modality in ("voice", "text"):
        line.add_reading(reading(modality, observation=(0.1, 0.2)), NOW)
    line.set_interim(reading("voice"), NOW)
    line.forget("voice")
    assert line.mood(NOW, ["voice"]) is None
    assert line.baseline("voice") == NO_BASELINE
    assert line.mood(NOW, ["text"]) is not None
    assert line.baseline("text").count == 1


def test_a_timeline_is_bounded() -> None:
    line = timeline()
    line.add_reading(reading(valence=(1.0, 0.3)), NOW)
    for _ in range(1000):
        line.add_reading(reading(valence=(-1.0, 0.3)), NOW)
    mood = line.mood(NOW, ["text"])
    assert mood is not None
    assert mood.valence.mean == pytest.approx(-1.0)


def test_the_deviation_from_the_usual_is_shown_once_the_person_is_known() -> None:
    line = timeline()
    for heard in range(KNOWN_AFTER):
        mood = line.mood(NOW, ["voice"])
        assert mood is None or (mood.baseline, mood.from_usual) == ("none", {}), f"after {heard}"
        line.add_reading(reading("voice", (0.2, 0.2), (0.1, 0.2), observation=(7.0, 0.5, 0.3)), NOW)
    mood = line.mood(NOW, ["voice"])
    assert mood is not None
    assert mood.baseline == "session"
    assert mood.from_usual == pytest.approx({"valence": -0.3, "arousal": -0.2})


def test_a_stored_baseline_is_called_stored() -> None:
    line = timeline()
    line.baselines["voice"] = Baseline(10, (0.0, 0.0), "stored")
    line.add_reading(reading("voice", observation=(0.0, 0.0)), NOW)
    mood = line.mood(NOW, ["voice"])
    assert mood is not None
    assert mood.baseline == "stored"


# The baseline


def test_a_baseline_never_holds_more_than_eight_numbers() -> None:
    assert len(update_baseline(NO_BASELINE, (0.0,) * 8).center) == 8
    with pytest.raises(ValueError, match="at most 8"):
        update_baseline(NO_BASELINE, (0.0,) * 9)


def test_a_baseline_is_the_mean_of_what_was_observed() -> None:
    baseline = NO_BASELINE
    for observation in ((1.0, 0.0), (0.0, 0.0), (0.5, 0.3)):
        baseline = update_baseline(baseline, observation)
    assert baseline.center == pytest.approx((0.5, 0.1))
    assert (baseline.count, baseline.source) == (3, "session")


def test_an_utterance_without_an_observation_teaches_nothing() -> None:
    known = Baseline(3, (0.5,), "stored")
    assert update_baseline(known, ()) is known


def test_a_stored_baseline_stays_stored_as_it_learns() -> None:
    assert update_baseline(Baseline(3, (0.5,), "stored"), (0.1,)).source == "stored"


def test_a_baseline_forgets_so_that_a_person_may_change() -> None:
    baseline = Baseline(100_000, (0.0,), "stored")
    for _ in range(1000):
        baseline = update_baseline(baseline, (1.0,))
    assert baseline.center[0] > 0.9


def test_an_unknown_person_is_never_moved() -> None:
    assert usual_from(NO_BASELINE, (0.3, 0.1)) is None
    assert usual_from(Baseline(0, (0.9, 0.9)), (0.3, 0.1)) is None
    assert usual_from(Baseline(5, (0.9, 0.9), "session"), ()) is None


def test_what_a_model_of_another_length_observed_says_nothing() -> None:
    old = Baseline(5, (0.9, 0.9, 0.9), "stored")
    assert usual_from(old, (0.3, 0.1)) is None
    assert update_baseline(old, (0.2, 0.4)) == Baseline(1, (0.2, 0.4), "session")


def test_what_is_stored_is_blurred_by_a_multiple_of_how_much_speakers_differ() -> None:
    draw = np.random.default_rng(0)
    known = Baseline(100, (0.5, -0.5), "session", "voice")
    stored = [blur_baseline(known, (0.2, 1.0), lambda: float(draw.normal())) for _ in range(2000)]
    noise = np.array([one.center for one in stored]) - known.center
    assert np.allclose(noise.std(axis=0), [BLUR * 0.2, BLUR * 1.0], rtol=0.1)
    assert {(one.count, one.model) for one in stored} == {(STORED_COUNT, "voice")}
    assert blur_baseline(known, (), lambda: 1.0) == known


def test_what_another_model_observed_says_nothing() -> None:
    old = Baseline(5, (0.9, 0.9), "stored", "voice")
    assert usual_from(old, (0.3, 0.1), "voice") is not None
    assert usual_from(old, (0.3, 0.1), "voice-open") is None
    assert update_baseline(old, (0.2, 0.4), "voice-open") == Baseline(1, (0.2, 0.4), "session", "voice-open")


@few
@given(st.integers(1, 10_000), st.floats(-1, 1), st.floats(-1, 1))
def test_what_is_usual_shrinks_towards_the_population(count: int, mine: float, most: float) -> None:
    known = usual_from(Baseline(count, (mine,), "session"), (most,))
    assert known is not None
    assert known.trust == count / (count + PRIOR_COUNT)
    assert known.shift == pytest.approx((known.trust * (mine - most),))
    assert abs(known.shift[0]) <= abs(mine - most)


@few
@given(st.integers(1, 10_000), st.lists(st.floats(-100, 100), min_size=1, max_size=8))
def test_what_is_usual_grows_with_every_utterance_and_never_to_the_whole_distance(
    count: int, center: list[float]
) -> None:
    before, after = (
        usual_from(Baseline(n, tuple(center), "session"), (0.0,) * len(center)) for n in (count, count + 1)
    )
    assert before is not None
    assert after is not None
    assert 0 < before.trust < after.trust < 1
    for early, late, distance in zip(before.shift, after.shift, center, strict=True):
        assert abs(early) <= abs(late) <= abs(distance)
        assert late * distance >= 0


@few
@given(st.lists(st.lists(st.floats(-1, 1), min_size=4, max_size=4), min_size=1, max_size=30))
def test_a_baseline_stays_within_what_was_observed(observations: list[list[float]]) -> None:
    baseline = NO_BASELINE
    for observation in observations:
        baseline = update_baseline(baseline, observation)
    for index, center in enumerate(baseline.center):
        seen = [observation[index] for observation in observations]
        assert min(seen) - 1e-9 <= center <= max(seen) + 1e-9
