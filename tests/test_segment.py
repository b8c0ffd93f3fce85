"""Cutting speech, and samples from the wire."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from assistant.audio.pcm import from_pcm16, level_db, to_pcm16
from assistant.audio.segment import Edge, Segmenter, SegmentRules
from assistant.errors import Invalid

few = settings(max_examples=30, deadline=None)

CHUNK = 0.032
probabilities = st.lists(st.floats(0, 1), max_size=400)
rules = st.builds(
    SegmentRules,
    threshold=st.floats(0.2, 0.9),
    start_s=st.floats(0.05, 0.5),
    silence_s=st.floats(0.1, 1.0),
    longest_s=st.floats(1.0, 5.0),
)


def edges(cut: Segmenter, heard: list[float], seconds: float = CHUNK) -> list[tuple[int, Edge]]:
    """The chunks after which something began or ended."""
    return [(at, edge) for at, p in enumerate(heard) if (edge := cut.process(seconds, p))]


@few
@given(rules, probabilities)
def test_starts_and_stops_alternate(rule: SegmentRules, heard: list[float]) -> None:
    cut = Segmenter(rule)
    found = [edge for _, edge in edges(cut, heard)]
    assert found == [Edge.STARTED, Edge.STOPPED] * (len(found) // 2) + [Edge.STARTED] * (len(found) % 2)
    assert cut.speaking == bool(len(found) % 2)


@few
@given(rules, st.integers(1, 12), st.integers(1, 30), st.integers(1, 8))
def test_coughs_shorter_than_a_start_start_nothing_however_many(
    rule: SegmentRules, cough: int, pause: int, times: int
) -> None:
    assume((cough + 0.5) * CHUNK <= rule.start_s)  # half a chunk is the tolerance
    assert edges(Segmenter(rule), ([1.0] * cough + [0.0] * pause) * times) == []


@few
@given(rules)
def test_an_utterance_starts_once_there_was_speech_enough(rule: SegmentRules) -> None:
    ((at, edge),) = edges(Segmenter(rule), [1.0] * (round(rule.start_s / CHUNK) + 1))
    assert edge is Edge.STARTED
    assert (at + 1) * CHUNK == pytest.approx(rule.start_s, abs=CHUNK)


@few
@given(rules)
def test_an_utterance_stops_once_there_was_silence_enough(rule: SegmentRules) -> None:
    found = edges(Segmenter(replace(rule, longest_s=15.0)), [1.0] * 20 + [0.0] * 60)
    assert [edge for _, edge in found] == [Edge.STARTED, Edge.STOPPED]
    assert (found[1][0] - 19) * CHUNK == pytest.approx(rule.silence_s, abs=CHUNK)


@few
@given(rules, st.integers(100, 600))
def test_a_monologue_is_cut_at_its_longest(rule: SegmentRules, chunks: int) -> None:
    found = edges(Segmenter(rule), [1.0] * chunks)
    started = None
    for at, edge in found:
        if edge is Edge.STARTED:
            started = at
        else:
            assert started is not None
            # the speech that was needed for the start belongs to it
            assert (at - started) * CHUNK + rule.start_s == pytest.approx(rule.longest_s, abs=2 * CHUNK)
    assert started is not None


@few
@given(rules, probabilities)
def test_nothing_lasts_longer_than_the_longest(rule: SegmentRules, heard: list[float]) -> None:
    cut = Segmenter(rule)
    speaking_s = 0.0
    for p in heard:
        cut.process(CHUNK, p)
        speaking_s = speaking_s + CHUNK if cut.speaking else 0.0
        assert speaking_s <= rule.longest_s + CHUNK


def test_speech_that_wavers_below_the_threshold_goes_on() -> None:
    cut = Segmenter(SegmentRules(threshold=0.5, start_s=0.1, silence_s=0.2))
    assert [edge for _, edge in edges(cut, [0.6] * 5 + [0.4] * 50)] == [Edge.STARTED]
    assert edges(Segmenter(cut.rules), [0.4] * 50) == []


def test_a_pause_for_breath_does_not_end_an_utterance() -> None:
    heard = ([1.0] * 10 + [0.0] * 10) * 4  # pauses of .32 s
    assert [edge for _, edge in edges(Segmenter(SegmentRules()), heard)] == [Edge.STARTED]


def test_the_trailing_silence_is_known() -> None:
    cut = Segmenter(SegmentRules())
    edges(cut, [1.0] * 10)
    assert cut.trailing_silence_s == 0
    edges(cut, [0.0] * 5)
    assert cut.trailing_silence_s == pytest.approx(5 * CHUNK)


# Samples

frames = st.binary(max_size=400).map(lambda data: data[: len(data) // 2 * 2])


@few
@given(frames)
def test_samples_survive_the_round_trip(data: bytes) -> None:
    samples = from_pcm16(data)
    assert samples.dtype == np.float32
    assert len(samples) == len(data) // 2
    assert not len(samples) or (samples.min() >= -1 and samples.max() < 1)
    assert to_pcm16(samples) == data


@few
@given(frames)
def test_half_a_sample_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        from_pcm16(data + b"\0")
    assert refused.value.code == "odd_length_audio"


@few
@given(st.lists(st.floats(-10, 10, width=32), max_size=50))
def test_samples_beyond_full_scale_are_clipped_and_never_wrap(values: list[float]) -> None:
    samples = np.array(values, dtype=np.float32)
    back = from_pcm16(to_pcm16(samples))
    assert np.allclose(back, np.clip(samples, -1, 32767 / 32768), atol=1 / 65536)


def test_levels_are_in_decibels_below_full_scale() -> None:
    assert level_db(np.ones(100, dtype=np.float32)) == pytest.approx(0)
    assert level_db(np.full(100, 0.01, dtype=np.float32)) == pytest.approx(-40, abs=0.01)
    assert level_db(np.zeros(100, dtype=np.float32)) == pytest.approx(-120)
    assert level_db(np.zeros(0, dtype=np.float32)) == pytest.approx(-120)
