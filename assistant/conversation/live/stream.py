"""One live microphone: samples in, events out. Audio is kept in memory, bounded, and only while it is needed.

Whoever calls `hear` waits for voice activity detection and nothing else. Estimates and words of the utterance that
is spoken come from one task each, which always takes the newest audio; finished utterances are answered in their
order by tasks of their own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Literal

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples
from assistant.audio.segment import Edge, SegmentEnd, SegmentRules, SegmentStart, UtteranceState, step
from assistant.audio.tape import Tape
from assistant.audio.vad import CHUNK, VadState
from assistant.consent.legal_rules import duties
from assistant.consent.receipt import ENDINGS, Actor, Record
from assistant.conversation.dictation import Transcription
from assistant.conversation.live.answers import Answers, Spoken
from assistant.conversation.live.captions import Captions
from assistant.conversation.live.estimate import estimate
from assistant.conversation.live.events import (
    Committed,
    ConsentChanged,
    Event,
    NoticeDue,
    Replied,
    SpeechStarted,
    SpeechStopped,
    Written,
)
from assistant.conversation.live.newest import Newest
from assistant.conversation.session import Conversation
from assistant.emotion import Reading
from assistant.errors import Invalid, TooLarge, Unavailable

log = logging.getLogger(__name__)

LONGEST_COMMIT_S = 60
"""Of audio that waits for a commit, where the client says when an utterance ends."""
_CHUNK_S = CHUNK / SAMPLE_RATE
_AT_ONCE = 8 * CHUNK
"""Samples that are taken in together: one row for the model that says whether they are speech."""
_WINDOW = 3 * SAMPLE_RATE
_EVERY_S = 0.5
"""Of speech, between two estimates."""
_GRID = SAMPLE_RATE // 2
"""Windows are cut to multiples of this, so that different streams share batches."""
_WORDS_EVERY_S = 1.0
"""Of speech, between two looks for new words."""
_RULES = SegmentRules()
_TRANSCRIPTION = Transcription()
_SERVER = Actor("app", "stream")


@dataclass(slots=True)
class _Utterance:
    item: str
    start: int
    """Position of its first sample in the stream."""
    captions: Captions | None
    speech: int = 0
    """Samples of speech so far, without pauses."""
    next_estimate: int = round(_EVERY_S * SAMPLE_RATE)
    next_words: int = round(_WORDS_EVERY_S * SAMPLE_RATE)


class Stream:
    """Hears one person. One task calls it, in order; `emit` gets the events and must not block."""

    def __init__(
        self,
        conversation: Conversation,
        emit: Callable[[Event], None],
        rules: SegmentRules | None = _RULES,
        *,
        transcription: Transcription | None = _TRANSCRIPTION,
    ) -> None:
        self._conversation = conversation
        self._tools = conversation.tools
        self._emit = emit
        self._transcription = transcription
        self._tape = Tape()
        self._judged = 0
        """Position up to which it is known whether there is speech."""
        self._free = 0
        """Position before which all audio belongs to earlier utterances."""
        self._acknowledged = False
        self._noticed = False
        self._changed = True
        self._since: int | None = None
        """Position from which the voice may be read; None while it may not."""
        self._last_item: str | None = None
        self._utterance: _Utterance | None = None
        self._estimating = Newest()
        self._wording = Newest()
        self._answers = Answers(conversation, emit, lambda: self._since is not None)
        self._asking: set[asyncio.Task[None]] = set()
        self._deaf = False
        self._stop_listening = self._tools.ledger.listen(conversation.person.pseudonym, self._decided)
        self._restart(rules)

    def segment(self, rules: SegmentRules | None) -> None:
        """Cut utterances by these rules; None leaves it to `commit`. What was not committed is forgotten."""
        self.clear()
        self._restart(rules)

    def transcribe(self, wanted: Transcription | None) -> None:
        """Tell the words of the utterances to come, or don't. Raises `Invalid` (`unknown_language`)."""
        if wanted is not None and self._tools.dictation is not None:
            self._tools.dictation.check(wanted)
        self._transcription = wanted
        if wanted is None and self._utterance is not None:
            self._utterance.captions = None
        if not self._keeps:
            self._tape.forget(self._tape.end)

    @property
    def transcribes(self) -> bool:
        """Whether the words will be told."""
        return self._transcription is not None and self._tools.dictation is not None

    @property
    def shed(self) -> int:
        """Interim updates that were never begun, as newer audio came first."""
        return self._estimating.shed + self._wording.shed

    async def consented(self) -> None:
        """Look at the grants again; done by itself before the next frame after a change."""
        self._changed = False
        granted = await self._conversation.grant("voice") is not None
        if not (granted and self._acknowledged):
            self._since = None
        elif self._since is None:
            self._since = self._tape.end
        if granted and not self._acknowledged and not self._noticed:
            self._noticed = True
            also = tuple(duty.says for duty in duties(self._conversation.subject, "notice"))
            self._emit(NoticeDue(self._tools.ledger.notice, also))
            self._begin_task(self._shown())

    async def acknowledge(self, notice: str, actor: Actor | None = None) -> None:
        """The notice was shown to the person, says `actor`, and it is on record before the voice is read.

        Raises `Invalid` (`notice_outdated`) for another version.
        """
        if notice != self._tools.ledger.notice:
            raise Invalid(f"the current notice is version {self._tools.ledger.notice}", code="notice_outdated")
        if not self._acknowledged:
            await self._note("notice_acknowledged", actor or _SERVER)
        self._acknowledged = True
        await self.consented()

    async def hear(self, samples: Samples) -> None:
        """Take in samples at 16 kHz, any number of them.

        Raises `TooLarge` (`buffer_full`) where too much waits for a commit, and `Unavailable` once when it can't be
        told any more what is speech; in both cases the stream goes on.
        """
        fault: Exception | None = None
        for start in range(0, len(samples), _AT_ONCE):
            if self._changed:
                await self.consented()
            part = samples[start : start + _AT_ONCE]
            if self._rules is None:
                self._hear_openly(part)
            else:
                fault = await self._hear_turns(part, self._rules) or fault
        if fault is not None:
            log.error("voice activity detection failed (%s)", type(fault).__name__)
            raise Unavailable("it can't be told what is speech at the moment", code="vad_unavailable") from fault

    async def commit(self) -> None:
        """End the utterance here. Raises `Invalid` (`buffer_empty`) where there is none."""
        if self._utterance is None:
            raise Invalid("no speech to commit", code="buffer_empty")
        silence = round(self._turn.silence_s * SAMPLE_RATE)
        await self._end(self._utterance, self._tape.end, silence=silence)
        self._restart(self._rules)

    def clear(self) -> None:
        """Forget the audio that was not committed."""
        self._drop_updates()
        self._utterance = None
        self._tape.forget(self._tape.end)
        self._restart(self._rules)

    async def read(self, item: str, text: str) -> None:
        """Take in something written, or transcribed by somebody else, once what was said before is answered."""
        await self._answers.settled()
        previous, self._last_item = self._last_item, item
        self._emit(Written(item, previous, text))
        self._emit(Replied(item, await self._conversation.read(text)))

    async def settled(self) -> None:
        """Wait until every finished utterance is answered."""
        await self._answers.settled()

    async def close(self) -> None:
        """Let go of everything."""
        self._stop_listening()
        self.clear()
        tasks = tuple(self._asking)
        for task in tasks:
            task.cancel()
        await asyncio.gather(self._answers.close(), *tasks, return_exceptions=True)

    @property
    def _keeps(self) -> bool:
        """Whether anybody needs the audio."""
        return self._since is not None or self.transcribes

    def _restart(self, rules: SegmentRules | None) -> None:
        self._rules = rules
        self._turn = UtteranceState()
        self._vad = VadState()
        self._said = 0.0
        self._judged = self._free = self._tape.end

    def _take(self, samples: Samples) -> None:
        if self._keeps:
            self._tape.append(samples)
        else:
            self._tape.skip(len(samples))

    def _hear_openly(self, samples: Samples) -> None:
        utterance = self._utterance
        if utterance is None:
            utterance = self._utterance = self._new_utterance(self._tape.end)
        if len(self._tape) + len(samples) > LONGEST_COMMIT_S * SAMPLE_RATE:
            raise TooLarge(f"commit or clear: {LONGEST_COMMIT_S} s of audio wait already", code="buffer_full")
        self._take(samples)
        self._judged = self._tape.end
        utterance.speech += len(samples)
        self._update(utterance)

    async def _hear_turns(self, samples: Samples, rules: SegmentRules) -> Exception | None:
        """Give the first error when it can't be told what is speech; what is going on is then taken to go on."""
        self._take(samples)
        fault: Exception | None = None
        try:
            said = await self._tools.vad.probabilities(self._vad, samples)
        except Exception as error:
            fault, self._deaf = None if self._deaf else error, True
            said = [self._said] * ((self._tape.end - self._judged) // CHUNK)
        else:
            self._deaf = self._deaf and not said
        for probability in said:
            self._said = probability
            self._judged += CHUNK
            is_speech = rules.is_speech(probability, speaking=self._turn.speaking)
            if is_speech and self._utterance is not None:
                self._utterance.speech += CHUNK
            self._turn, edge = step(self._turn, _CHUNK_S, is_speech, rules)
            if edge is not None:
                await self._turned(edge, rules)
        if self._utterance is not None:
            self._update(self._utterance)
        else:
            self._tape.forget(self._judged - round((rules.prefix_s + rules.start_s + _CHUNK_S) * SAMPLE_RATE))
        return fault

    async def _turned(self, edge: Edge, rules: SegmentRules) -> None:
        if isinstance(edge, SegmentStart):
            length = round(edge.length_s * SAMPLE_RATE)
            speech = length - round(rules.prefix_s * SAMPLE_RATE)
            self._begin(max(self._free, self._judged - length), speech)
            return
        assert self._utterance is not None
        if isinstance(edge, SegmentEnd):
            await self._end(self._utterance, self._judged, silence=round(edge.silence_s * SAMPLE_RATE))
        else:
            at = self._judged - round(edge.rest_s * SAMPLE_RATE)
            await self._end(self._utterance, at, silence=0)
            self._begin(at)

    def _new_utterance(self, start: int) -> _Utterance:
        item, captions = self._tools.new_id(), None
        if self._transcription is not None and self._tools.dictation is not None:
            captions = Captions(self._tools.dictation, self._transcription, item, self._emit)
        return _Utterance(item, start, captions)

    def _begin(self, start: int, speech: int = 0) -> None:
        self._utterance = self._new_utterance(start)
        self._utterance.speech = speech
        self._emit(SpeechStarted(self._utterance.item, _ms(start)))

    async def _end(self, utterance: _Utterance, at: int, *, silence: int) -> None:
        """The utterance is over: what comes after `at` is not part of it, and before it lies some silence."""
        spoken = self._spoken(utterance, at, silence)
        self._drop_updates()
        self._utterance, self._free = None, at
        self._changed = True  # a grant may have expired
        self._tape.forget(at)
        if self._rules is not None:
            self._emit(SpeechStopped(utterance.item, _ms(at)))
        previous, self._last_item = self._last_item, utterance.item
        self._emit(Committed(utterance.item, previous))
        await self._answers.add(spoken)

    def _drop_updates(self) -> None:
        self._estimating.drop()
        self._wording.drop()

    def _spoken(self, utterance: _Utterance, at: int, silence: int) -> Spoken:
        """Its audio, with only so much of the silence at its end that its length is a multiple of the grid."""
        ends = min(at, utterance.start + _GRID * -(-(at - silence - utterance.start) // _GRID))
        audio = self._tape.read(utterance.start, ends)
        readable: Samples | None = None
        if self._since is not None:
            readable = audio if self._since <= utterance.start else self._tape.read(self._since, ends)
        return Spoken(utterance.item, utterance.captions, _ms(at), audio, readable)

    def _update(self, utterance: _Utterance) -> None:
        """Every so often, ask for an estimate and for words; a look that has not begun yet will see the newest."""
        if utterance.speech >= utterance.next_estimate:
            utterance.next_estimate = _after(utterance.speech, _EVERY_S)
            if self._since is not None:
                self._estimating.ask(lambda: self._estimate(utterance))
        if utterance.captions is not None and utterance.speech >= utterance.next_words:
            utterance.next_words = _after(utterance.speech, _WORDS_EVERY_S)
            self._wording.ask(lambda: self._word(utterance))

    async def _estimate(self, utterance: _Utterance) -> None:
        if self._utterance is not utterance or self._since is None:
            return
        start = max(utterance.start, self._since, self._judged - _WINDOW)
        end = self._judged
        window = self._tape.read(start + (end - start) % _GRID, end)
        if not len(window):
            return

        def current() -> bool:
            return self._utterance is utterance

        budget_s = self._tools.update_budget_s
        said = await estimate(self._conversation, window, budget_s=budget_s, current=current)
        if isinstance(said, Reading):
            await self._answers.tell(utterance.item, said, window, _ms(end), current=current)

    async def _word(self, utterance: _Utterance) -> None:
        if self._utterance is utterance and utterance.captions is not None:
            await utterance.captions.partly(self._tape.read(utterance.start, self._judged))

    def _decided(self, record: Record) -> None:
        """A decision about consent, from here or elsewhere, in any process: what ends a grant stops all at once."""
        if record.event in ENDINGS and record.modality in (None, "voice"):
            self._since = None
            self._estimating.drop()
            if not self._keeps:
                self._tape.forget(self._tape.end)
        self._changed = True
        self._emit(ConsentChanged(record))
        self._begin_task(self._ask_again())

    def _begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _shown(self) -> None:
        try:
            await self._note("notice_shown", _SERVER)
        except Unavailable as error:  # nothing is read before the acknowledgement is on record
            log.error("a notice was shown and not recorded (%s)", error.code)

    async def _note(self, event: Literal["notice_shown", "notice_acknowledged"], actor: Actor) -> None:
        subject, ledger = self._conversation.subject, self._tools.ledger
        await ledger.record_event(
            subject.person, event, actor, app=subject.app, modality="voice", notice=ledger.notice
        )

    async def _ask_again(self) -> None:
        if self._changed:
            await self.consented()


def _after(speech: int, every_s: float) -> int:
    """The next multiple of `every_s` seconds, in samples, so that frames of any length keep the pace.

    >>> [_after(samples, 0.5) for samples in (0, 8_192, 16_000)]
    [8000, 16000, 24000]
    """
    every = round(every_s * SAMPLE_RATE)
    return (speech // every + 1) * every


def _ms(position: int) -> int:
    return round(position * 1000 / SAMPLE_RATE)
