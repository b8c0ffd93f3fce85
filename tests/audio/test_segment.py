"""Cutting speech, and samples from the wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from assistant.audio.pcm import Tape, from_pcm16, level_db, to_pcm16
from assistant.audio.segment import (
    Edge,
    SegmentCut,
    SegmentEnd,
    SegmentRules,
    SegmentStart,
    UtteranceState,
    advance_segment,
    split_speech,
)
from assistant.errors import Invalid

few = settings(max_examples=30, deadline=None)

CHUNK = 0.032
speech = st.lists(st.booleans(), max_size=400)
rules = st.builds(
    SegmentRules,
    start_s=st.floats(0.05, 0.5),
    silence_s=st.floats(0.1, 0.6),
    prefix_s=st.floats(0.0, 0.3),
    longest_s=st.floats(2.0, 5.0),
)


def edges(rule: SegmentRules, heard: Sequence[bool]) -> list[tuple[int, Edge]]:
    """The number of chunks heard when something began or ended."""
    turn, found = UtteranceState(), []
    for at, is_speech in enumerate(heard, 1):
        turn, edge = advance_segment(turn, CHUNK, is_speech, rule)
        if edge is not None:
            found.append((at, edge))
    return found


def utterances(rule: SegmentRules, heard: Sequence[bool]) -> list[tuple[float, float | None]]:
    """Where each begins and ends, in seconds; the last may go on."""
    found: list[tuple[float, float | None]] = []
    for at, edge in edges(rule, heard):
        now = at * CHUNK
        match edge:
            case SegmentStart(length_s):
                found.append((now - length_s, None))
            case SegmentEnd():
                found[-1] = (found[-1][0], now)
            case SegmentCut(rest_s):
                found[-1] = (found[-1][0], now - rest_s)
                found.append((now - rest_s, None))
    return found


def kinds(found: list[tuple[int, Edge]]) -> list[type[Edge]]:
    return [type(edge) for _, edge in found]


@few
@given(rules, speech)
def test_an_utterance_starts_before_it_ends_and_ends_before_the_next(rule: SegmentRules, heard: list[bool]) -> None:
    speaking = False
    for _, edge in edges(rule, heard):
        assert isinstance(edge, SegmentStart) != speaking
        speaking = not isinstance(edge, SegmentEnd)


@few
@given(rules, st.integers(1, 12), st.integers(1, 30), st.integers(1, 8))
def test_coughs_shorter_than_a_start_start_nothing_however_many(
    rule: SegmentRules, cough: int, pause: int, times: int
) -> None:
    assume((cough + 0.5) * CHUNK < rule.start_s - 1e-9)  # half a chunk is the tolerance
    assert edges(rule, ([True] * cough + [False] * pause) * times) == []


@few
@given(rules)
def test_an_utterance_starts_once_there_was_speech_enough_and_reaches_back_before_it(rule: SegmentRules) -> None:
    ((at, edge),) = edges(rule, [True] * (round(rule.start_s / CHUNK) + 1))
    assert isinstance(edge, SegmentStart)
    assert at * CHUNK == pytest.approx(rule.start_s, abs=CHUNK)
    assert edge.length_s == pytest.approx(at * CHUNK + rule.prefix_s)


@few
@given(rules)
def test_an_utterance_stops_once_there_was_silence_enough(rule: SegmentRules) -> None:
    found = edges(replace(rule, longest_s=15.0), [True] * 20 + [False] * 60)
    assert kinds(found) == [SegmentStart, SegmentEnd]
    at, edge = found[1]
    assert (at - 20) * CHUNK == pytest.approx(rule.silence_s, abs=CHUNK)
    assert isinstance(edge, SegmentEnd)
    assert astuple(edge) == pytest.approx(((at - 20) * CHUNK,))


@few
@given(rules, speech)
def test_nothing_lasts_longer_than_the_longest(rule: SegmentRules, heard: list[bool]) -> None:
    for start, end in utterances(rule, heard):
        assert (len(heard) * CHUNK if end is None else end) - start <= rule.longest_s + 1e-6


@few
@given(rules, speech)
def test_at_a_cut_the_next_utterance_begins_where_the_last_one_ends(rule: SegmentRules, heard: list[bool]) -> None:
    found = edges(rule, heard)
    spans = utterances(rule, heard)
    follows = [index + 1 for index, (_, edge) in enumerate(e for e in found if not isinstance(e[1], SegmentStart))
               if isinstance(edge, SegmentCut)]  # fmt: skip
    for index in follows:
        assert spans[index][0] == spans[index - 1][1]
        assert spans[index][0] > spans[index - 1][0]


@few
@given(st.lists(st.tuples(st.integers(6, 60), st.integers(1, 14)), min_size=30, max_size=40))
def test_the_first_cut_lies_in_the_middle_of_the_longest_pause_so_far_the_later_of_equals(
    parts: list[tuple[int, int]],
) -> None:
    rule = SegmentRules(start_s=0.16, longest_s=5.0)
    heard = [chunk for talk, pause in parts for chunk in [True] * talk + [False] * pause]
    limit, edge = next((at, edge) for at, edge in edges(rule, heard) if not isinstance(edge, SegmentStart))
    pauses, at = [], 0
    for talk, pause in parts:
        at += talk + pause
        if at < limit:  # it ended, and somebody spoke again
            pauses.append((pause, (at - pause / 2) * CHUNK))
    length, middle_s = max(pauses)
    if isinstance(edge, SegmentCut):
        assert limit * CHUNK - edge.rest_s == pytest.approx(middle_s)
    else:
        assert edge.silence_s >= length * CHUNK - 1e-6


def test_a_monologue_is_cut_at_its_longest_pause_and_the_rest_begins_the_next() -> None:
    heard = [True] * 120 + [False] * 6 + [True] * 100 + [False] * 10 + [True] * 150 + [False] * 4 + [True] * 200
    rule = SegmentRules()
    (start, end), (again, _) = utterances(rule, heard)
    assert start == pytest.approx(-rule.prefix_s)
    assert end == again == pytest.approx((120 + 6 + 100 + 5) * CHUNK)


def test_speech_without_any_pause_is_cut_where_it_grows_too_long() -> None:
    rule = SegmentRules()
    spans = utterances(rule, [True] * 1200)
    assert [round(end - start) for start, end in spans if end is not None] == [15, 15]
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]


def test_where_the_pause_at_the_limit_is_the_best_it_just_ends() -> None:
    found = edges(SegmentRules(), [True] * 100 + [False] * 3 + [True] * 345 + [False] * 30)
    assert kinds(found) == [SegmentStart, SegmentEnd]


def test_speech_that_wavers_below_the_threshold_goes_on() -> None:
    rule = SegmentRules(threshold=0.5)
    assert rule.is_speech(0.4, speaking=True)
    assert not rule.is_speech(0.4, speaking=False)
    assert not rule.is_speech(0.3, speaking=True)


def test_a_pause_for_breath_does_not_end_an_utterance() -> None:
    heard = ([True] * 10 + [False] * 10) * 4  # pauses of .32 s
    assert kinds(edges(SegmentRules(), heard)) == [SegmentStart]


@few
@given(st.integers(1, 5), st.integers(1_000, 20_000), st.integers(0, 2**32 - 1))
def test_long_audio_is_cut_into_pieces_that_fit_and_nothing_is_lost(times: int, longest: int, seed: int) -> None:
    audio = np.random.default_rng(seed).normal(size=times * longest + seed % 999).astype(np.float32)
    cut = split_speech(audio, longest)
    assert max(len(piece) for piece in cut) <= longest
    assert np.array_equal(np.concatenate(cut), audio)


def test_pieces_are_cut_where_it_is_quiet() -> None:
    audio = np.ones(16_000, dtype=np.float32)
    audio[8_400:8_900] = 0
    first, _ = split_speech(audio, 10_000)
    assert 8_400 < len(first) < 8_900


@few
@given(st.lists(st.tuples(st.sampled_from(["add", "skip", "forget"]), st.integers(0, 40_000)), max_size=30))
def test_a_tape_holds_what_was_added_and_not_forgotten_and_nothing_else(acts: list[tuple[str, int]]) -> None:
    tape, said, start = Tape(), np.zeros(0, dtype=np.float32), 0
    for act, count in acts:
        if act == "add":
            more = np.arange(1 + len(said), 1 + len(said) + count, dtype=np.float32)
            tape.append(more)
            said = np.append(said, more)
        elif act == "skip":
            tape.skip(count)
            said = np.append(said, np.zeros(count, dtype=np.float32))
            start = len(said)
        else:
            start = max(start, min(len(said), start + count // 2))
            tape.forget(start)
        assert (tape.start, tape.end, len(tape)) == (start, len(said), len(said) - start)
        assert np.array_equal(tape.read(0, len(said)), said[start:])
        assert np.count_nonzero(tape._data) == len(said) - start, "what is forgotten is gone"
        assert len(tape._data) <= len(said) - start + 40_000 + 64_000


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
