"""What a person says of their own mood wins over what is read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from assistant.emotion import Estimate, Reading
from assistant.mood.timeline import Correction, Timeline

NOW = 1_800_000_000.0


TENSE = Reading("text", Estimate(-0.6, 0.2), Estimate(0.6, 0.2), 0.9, {"fear": 0.8, "joy": 0.2})
CALM = Correction("stress", False, NOW)


def timeline() -> Timeline:
    return Timeline(half_life_s=60, expires_s=900)


def test_what_the_person_says_wins_over_what_is_read_now_and_later() -> None:
    line = timeline()
    line.add_reading(TENSE, NOW)
    line.correct(CALM)
    mood = line.mood(NOW, ["text"])
    assert mood is not None
    assert mood.stress == 0
    assert mood.valence == line.mood(NOW, ["text"]).valence  # type: ignore[union-attr]
    assert [e.modality for e in mood.evidence] == ["text", "correction"]
    line.add_reading(TENSE, NOW + 800)
    line.add_reading(TENSE, NOW + 1600)
    later = line.mood(NOW + 1600, ["text"])
    assert later is not None
    assert later.stress == 0, "it is remembered for the session"


def test_after_a_silence_the_session_and_its_corrections_are_over() -> None:
    line = timeline()
    line.add_reading(TENSE, NOW)
    line.correct(CALM)
    assert line.corrections(NOW + 899)
    assert not line.corrections(NOW + 900)
    line.add_reading(TENSE, NOW + 900)
    mood = line.mood(NOW + 900, ["text"])
    assert mood is not None
    assert mood.stress == pytest.approx(0.9)
    assert [e.modality for e in mood.evidence] == ["text"]


def test_each_dimension_is_corrected_by_itself_and_the_last_word_counts() -> None:
    line = timeline()
    line.add_reading(TENSE, NOW)
    for correction in (
        Correction("valence", 0.9, NOW),
        Correction("valence", 0.4, NOW),
        Correction("arousal", -0.5, NOW),
        Correction("emotion", "joy", NOW),
        Correction("stress", True, NOW),
    ):
        line.correct(correction)
    mood = line.mood(NOW, ["text"])
    assert mood is not None
    assert (mood.valence.mean, mood.arousal.mean, mood.stress) == (0.4, -0.5, 1.0)
    assert mood.emotions == {"fear": 0.0, "joy": 1.0}


def test_a_correction_alone_makes_no_mood_and_goes_with_the_last_reading() -> None:
    line = timeline()
    line.correct(CALM)
    assert line.mood(NOW, ["text", "voice"]) is None
    line.add_reading(TENSE, NOW)
    line.forget("text")
    assert not line.corrections(NOW)


def test_the_deviation_from_the_usual_is_that_of_the_corrected_mood() -> None:
    line = timeline()
    usual = replace(TENSE, valence=Estimate(0.1, 0.2), observation=(0.1, 0.0), model="m")
    for _ in range(30):
        line.add_reading(usual, NOW)
    line.correct(Correction("valence", 0.5, NOW))
    mood = line.mood(NOW, ["text"])
    assert mood is not None
    assert mood.from_usual["valence"] == pytest.approx(0.4, abs=0.01)
