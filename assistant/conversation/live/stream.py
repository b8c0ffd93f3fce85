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
from typing import Any

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples, Tape
from assistant.audio.segment import SegmentRules
from assistant.audio.vad import CHUNK, VadState
from assistant.consent.receipt import Actor
from assistant.conversation.dictation import Transcription
from assistant.conversation.live.answers import Answers, Captions, FinishedUtterance
from assistant.conversation.live.consent_gate import ConsentGate
from assistant.conversation.live.events import (
    Committed,
    Event,
    Replied,
    Role,
    SpeechStarted,
    SpeechStopped,
    Written,
)
from assistant.conversation.live.listening import Change, Listening, Utterance, UtteranceBegan, UtteranceEnded
from assistant.conversation.session import Conversation
from assistant.emotion import Reading
from assistant.errors import Invalid, TooLarge, Unavailable

log = logging.getLogger(__name__)

LONGEST_COMMIT_S = 60
"""Of audio that waits for a commit, where the client says when an utterance ends."""
_AT_ONCE = 8 * CHUNK
"""Samples that are taken in together: one row for the model that says whether they are speech."""
_WINDOW = 3 * SAMPLE_RATE
_GRID = SAMPLE_RATE // 2
"""Windows are cut to multiples of this, so that different streams share batches."""
_RULES = SegmentRules()
_TRANSCRIPTION = Transcription()


@dataclass(slots=True, eq=False)
class _Item:
    """The utterance that is spoken, as clients see it."""

    id: str
    utterance: Utterance
    captions: Captions | None


class Stream:
    """Hears one person. One task calls it, in order; `emit` gets the events and must not block."""

    def __init__(
        self,
        conversation: Conversation,
        emit: Callable[[Event], None],
        rules: SegmentRules | None = _RULES,
        *,
        transcription: Transcription | None = _TRANSCRIPTION,
        sends_notice: bool = True,
    ) -> None:
        services = conversation.services
        self._conversation = conversation
        self._vad, self._dictation, self._new_id = services.vad, services.dictation, services.new_id
        self._update_budget_s = services.update_budget_s
        self._emit = emit
        self._transcription = transcription
        self._tape = Tape()
        self._listening = Listening(rules)
        self._vad_state = VadState()
        self._vad_failed = False
        self._item: _Item | None = None
        self._last_item: str | None = None
        self._estimating = LatestWork()
        self._wording = LatestWork()
        self._gate = ConsentGate(
            conversation.readings,
            services.ledger,
            emit,
            position=lambda: self._tape.end,
            on_close=self._stop_reading,
            sends_notice=sends_notice,
        )
        self._answers = Answers(conversation, emit, lambda: self._gate.is_open)

    def segment(self, rules: SegmentRules | None) -> None:
        """Cut utterances by these rules; None leaves it to `commit`. What was not committed is forgotten."""
        self._listening.rules = rules
        self.clear()

    def transcribe(self, wanted: Transcription | None) -> None:
        """Tell the words of the utterances to come, or don't."""
        self._transcription = wanted
        if wanted is None and self._item is not None:
            self._item.captions = None
        self._forget_unneeded()

    @property
    def transcribes(self) -> bool:
        """Whether the words will be told."""
        return self._transcription is not None and self._dictation is not None

    @property
    def shed(self) -> int:
        """Interim updates that were never begun, as newer audio came first."""
        return self._estimating.shed + self._wording.shed

    async def check_consent(self) -> None:
        """Look at the grants now; done by itself before the next frame after a change."""
        await self._gate.check()

    async def acknowledge(self, notice: str, actor: Actor | None = None) -> None:
        """The notice was shown to the person, says `actor`. Raises `Invalid` (`notice_outdated`)."""
        await self._gate.acknowledge(notice, actor)

    async def hear(self, samples: Samples) -> None:
        """Take in samples at 16 kHz, any number of them.

        Raises `TooLarge` (`buffer_full`) where too much waits for a commit, and `Unavailable` (`vad_unavailable`)
        once when voice activity detection begins to fail; in both cases the stream goes on.
        """
        fault: Exception | None = None
        for start in range(0, len(samples), _AT_ONCE):
            await self._gate.refresh()
            part = samples[start : start + _AT_ONCE]
            if self._listening.rules is None:
                self._hear_openly(part)
            else:
                fault = await self._hear_turns(part) or fault
        if fault is not None:
            log.error("voice activity detection failed (%s)", type(fault).__name__)
            raise Unavailable(
                "voice activity detection is unavailable; the stream goes on", code="vad_unavailable"
            ) from fault

    async def commit(self) -> None:
        """End the utterance here. Raises `Invalid` (`input_audio_buffer_commit_empty`) where there is none."""
        ended = self._listening.end(self._tape.end)
        if ended is None:
            raise Invalid("no speech to commit", code="input_audio_buffer_commit_empty")
        self._vad_state = VadState()
        await self._end(ended)

    def clear(self) -> None:
        """Forget the audio that was not committed."""
        self._drop_updates()
        self._item = None
        self._tape.forget(self._tape.end)
        self._listening.restart(self._listening.rules, self._tape.end)
        self._vad_state = VadState()

    async def read(self, item: str, text: str) -> None:
        """Take in something written, or transcribed by somebody else, once what was said before is answered."""
        await self.add(item, text, "user")
        self._emit(Replied(item, await self._conversation.read(text)))

    async def add(self, item: str, text: str, role: Role) -> None:
        """Show an item that nobody reads, in its place: only what a `user` wrote is the person's own."""
        await self._answers.wait()
        previous, self._last_item = self._last_item, item
        self._emit(Written(item, previous, text, role))

    async def wait_for_answers(self) -> None:
        """Wait until every finished utterance is answered."""
        await self._answers.wait()

    async def close(self) -> None:
        """Let go of everything."""
        gate_stopped = self._gate.stop()
        self.clear()
        await asyncio.gather(self._answers.close(), gate_stopped, return_exceptions=True)

    def _append(self, samples: Samples) -> None:
        """Keep the audio if anybody needs it."""
        if self._gate.is_open or self.transcribes:
            self._tape.append(samples)
        else:
            self._tape.skip(len(samples))

    def _forget_unneeded(self) -> None:
        if not (self._gate.is_open or self.transcribes):
            self._tape.forget(self._tape.end)

    def _stop_reading(self) -> None:
        self._estimating.drop()
        self._forget_unneeded()

    def _hear_openly(self, samples: Samples) -> None:
        """Take in audio that is all of one utterance."""
        if len(self._tape) + len(samples) > LONGEST_COMMIT_S * SAMPLE_RATE:
            raise TooLarge(f"commit or clear: {LONGEST_COMMIT_S} s of audio wait already", code="buffer_full")
        self._append(samples)
        utterance = self._listening.extend(len(samples))
        if self._item is None:
            self._item = self._new_item(utterance)
        self._update(self._item)

    async def _hear_turns(self, samples: Samples) -> Exception | None:
        """Give the first error of voice activity detection; speech, or silence, is then taken to go on."""
        self._append(samples)
        fault: Exception | None = None
        probabilities: list[float] | list[None]
        try:
            probabilities = await self._vad.probabilities(self._vad_state, samples)
        except Exception as error:
            fault, self._vad_failed = None if self._vad_failed else error, True
            probabilities = [None] * ((self._tape.end - self._listening.judged) // CHUNK)
        else:
            self._vad_failed = self._vad_failed and not probabilities
        for probability in probabilities:
            for change in self._listening.judge(probability):
                await self._apply(change)
        if self._item is not None:
            self._update(self._item)
        else:
            self._tape.forget(self._listening.needed_from)
        return fault

    async def _apply(self, change: Change) -> None:
        match change:
            case UtteranceBegan(utterance):
                self._item = self._new_item(utterance)
                self._emit(SpeechStarted(self._item.id, _ms(utterance.start)))
            case UtteranceEnded():
                await self._end(change)

    def _new_item(self, utterance: Utterance) -> _Item:
        item, captions = self._new_id(), None
        if self._transcription is not None and self._dictation is not None:
            captions = Captions(self._dictation, self._transcription, item, self._emit)
        return _Item(item, utterance, captions)

    async def _end(self, ended: UtteranceEnded) -> None:
        """The utterance is over: begin to answer it."""
        assert self._item is not None
        item, self._item = self._item, None
        finished = self._finish(item, ended)
        self._drop_updates()
        self._gate.mark_stale()  # a grant may have expired
        self._tape.forget(ended.end)
        if self._listening.rules is not None:
            self._emit(SpeechStopped(item.id, _ms(ended.end)))
        previous, self._last_item = self._last_item, item.id
        self._emit(Committed(item.id, previous))
        await self._answers.add(finished)

    def _drop_updates(self) -> None:
        self._estimating.drop()
        self._wording.drop()

    def _finish(self, item: _Item, ended: UtteranceEnded) -> FinishedUtterance:
        """Its audio, with only so much of the silence at its end that its length is a multiple of the grid."""
        start, since = ended.utterance.start, self._gate.since
        ends = min(ended.end, start + _GRID * -(-(ended.end - ended.silence - start) // _GRID))
        audio = self._tape.read(start, ends)
        readable: Samples | None = None
        if since is not None:
            readable = audio if since <= start else self._tape.read(since, ends)
        return FinishedUtterance(item.id, item.captions, _ms(ended.end), audio, readable)

    def _update(self, item: _Item) -> None:
        """Every so often, ask for an estimate and for words; a look that has not begun yet will see the newest."""
        if item.utterance.take_estimate_due() and self._gate.is_open:
            self._estimating.ask(lambda: self._estimate(item))
        if item.captions is not None and item.utterance.take_words_due():
            self._wording.ask(lambda: self._word(item))

    async def _estimate(self, item: _Item) -> None:
        since, end = self._gate.since, self._listening.judged
        if self._item is not item or since is None:
            return
        start = max(item.utterance.start, since, end - _WINDOW)
        window = self._tape.read(start + (end - start) % _GRID, end)
        if not len(window):
            return

        def is_current() -> bool:
            return self._item is item

        said = await self._conversation.readings.read_voice(
            window, budget_s=self._update_budget_s, is_current=is_current
        )
        if isinstance(said, Reading):
            await self._answers.emit_estimate(item.id, said, window, _ms(end), is_current=is_current)

    async def _word(self, item: _Item) -> None:
        if self._item is item and item.captions is not None:
            await item.captions.send_partial(self._tape.read(item.utterance.start, self._listening.judged))


def _ms(position: int) -> int:
    return round(position * 1000 / SAMPLE_RATE)


log = logging.getLogger(__name__)

Work = Callable[[], Coroutine[Any, Any, None]]


class LatestWork:
    """Does one piece of work at a time; of those asked for meanwhile only the last is done."""

    def __init__(self) -> None:
        self._next: Work | None = None
        self._task: asyncio.Task[None] | None = None
        self.shed = 0
        """How many were never begun, because something newer was asked for."""

    def ask(self, work: Work) -> None:
        """Do this once the present work is done, unless something newer is asked for by then."""
        self.shed += self._next is not None
        self._next = work
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())

    def drop(self) -> None:
        """Give up on everything, the present work too."""
        self._next = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def wait(self) -> None:
        """Wait until there is nothing to do."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _work(self) -> None:
        while self._next is not None:
            work, self._next = self._next, None
            try:
                await work()
            except Exception as error:  # an update that fails is left out
                log.warning("an update failed (%s)", type(error).__name__)
