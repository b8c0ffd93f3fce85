"""The words of a whole recording, utterance by utterance, found as in a stream. Nothing else is inferred."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples
from assistant.audio.segment import SegmentRules
from assistant.audio.transcribe import Transcript
from assistant.audio.vad import Vad, VadState
from assistant.conversation.dictation import Dictation, Transcription
from assistant.conversation.live.listening import Listening, UtteranceEnded


@dataclass(frozen=True, slots=True)
class Spoken:
    """One utterance of a recording."""

    start_s: float
    """From the beginning of the recording, like the other."""
    end_s: float
    found: Transcript


_FRAME = SAMPLE_RATE
"""Samples that voice activity detection takes at once: live streams share it."""


async def utterances(samples: Samples, rules: SegmentRules, vad: Vad) -> AsyncIterator[tuple[int, int, int]]:
    """Where each utterance starts, where its speech ends, and where the silence after it does, in samples."""
    listening, state = Listening(rules), VadState()
    for start in range(0, len(samples), _FRAME):
        for probability in await vad.probabilities(state, samples[start : start + _FRAME]):
            for change in listening.judge(probability):
                if isinstance(change, UtteranceEnded):
                    yield change.utterance.start, change.end - change.silence, change.end
    last = listening.end(len(samples))
    if last is not None:
        yield last.utterance.start, last.end - last.silence, last.end


async def transcribe_recording(
    samples: Samples, wanted: Transcription, rules: SegmentRules, vad: Vad, dictation: Dictation
) -> AsyncGenerator[Spoken, None]:
    """What was said, as it is found; what is empty is left out. Raises `Busy`, or whatever the models raise."""
    async for start, spoken, end in utterances(samples, rules, vad):
        found = await dictation.final(samples[start:end], None, wanted, live=False)
        if found.text:
            yield Spoken(start / SAMPLE_RATE, spoken / SAMPLE_RATE, found)
