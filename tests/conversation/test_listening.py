"""Where utterances begin and end in a stream, by positions alone."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from assistant.audio import SAMPLE_RATE
from assistant.audio.segment import SegmentRules
from assistant.audio.vad import CHUNK
from assistant.conversation.live.listening import Change, Listening, Utterance, UtteranceBegan, UtteranceEnded

RULES = SegmentRules(start_s=0.064, silence_s=0.096, prefix_s=0.032, longest_s=0.64)


def changes(listening: Listening, chunks: Iterable[float | None]) -> list[Change]:
    return [change for probability in chunks for change in listening.judge(probability)]


def test_an_utterance_begins_with_its_prefix_and_ends_with_its_silence() -> None:
    began, ended = changes(Listening(RULES), [0.0, 0.0, 0.9, 0.9, 0.9, 0.0, 0.0, 0.0])
    assert isinstance(began, UtteranceBegan)
    assert isinstance(ended, UtteranceEnded)
    assert began.utterance is ended.utterance
    assert (began.utterance.start, ended.end, ended.silence) == (CHUNK, 8 * CHUNK, 3 * CHUNK)
    assert began.utterance.speech == 3 * CHUNK


def test_while_nobody_knows_what_is_speech_it_goes_on_as_before() -> None:
    listening = Listening(RULES)
    changes(listening, [0.9, 0.9])
    speaking = listening.utterance
    assert speaking is not None
    assert changes(listening, [None] * 5) == []
    assert listening.utterance is speaking
    assert speaking.speech == 7 * CHUNK


def test_a_committed_utterance_ends_where_it_is_told_and_the_next_begins_after_it() -> None:
    listening = Listening(None)
    first = listening.extend(1_000)
    ended = listening.end(1_000)
    assert ended is not None
    assert (ended.utterance, ended.end, ended.silence) == (first, 1_000, 0)
    assert listening.end(1_000) is None
    assert listening.extend(500).start == 1_000


def test_estimates_and_words_are_due_by_speech_and_each_once() -> None:
    utterance = Utterance(0)
    due = []
    for _ in range(40):
        utterance.speech += 1_000
        due.append((utterance.take_estimate_due(), utterance.take_words_due()))
    assert [n for n, (estimate, _) in enumerate(due, 1) if estimate] == [8, 16, 24, 32, 40]
    assert [n for n, (_, words) in enumerate(due, 1) if words] == [16, 32]


@given(st.lists(st.one_of(st.none(), st.floats(0, 1)), max_size=120))
def test_utterances_never_overlap_and_none_is_longer_than_the_rules_say(chunks: list[float | None]) -> None:
    listening, free = Listening(RULES), 0
    for change in changes(listening, chunks):
        assert change.utterance.start >= free
        if isinstance(change, UtteranceEnded):
            assert change.utterance.start <= change.end <= listening.judged
            assert change.end - change.utterance.start <= RULES.longest_s * SAMPLE_RATE + CHUNK
            free = change.end
