"""One live microphone: frames in, events out. Audio is kept in memory, bounded, and only while it may be read."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from assistant.audio import SAMPLE_RATE
from assistant.audio.pcm import Samples, from_pcm16
from assistant.audio.segment import Edge, Segmenter, SegmentRules
from assistant.audio.vad import CHUNK, VadState
from assistant.consent.receipt import Record
from assistant.conversation.events import (
    Affect,
    ConsentChanged,
    Event,
    NoticeDue,
    Replied,
    SpeechStarted,
    SpeechStopped,
)
from assistant.conversation.session import Conversation, abstained
from assistant.emotion import Abstention, Mood, Reading
from assistant.errors import ConsentRequired, Invalid
from assistant.mood.baseline import usual

_CHUNK_S = CHUNK / SAMPLE_RATE
_LOOK_BACK = 15
"""Chunks before the start of speech that belong to the utterance (about half a second)."""
_INTERIM_S = 3.0
_FINAL_S = 6.0
_EVERY_S = 1.0
_GRID = SAMPLE_RATE // 2
"""Windows are cut to multiples of this, so that different streams share batches."""


@dataclass(slots=True)
class _Utterance:
    item: str
    chunks: int = 0
    """Since the start of speech."""
    next_update_s: float = _EVERY_S


class Stream:
    """Hears one person. One task calls `hear` in order; `emit` gets the events and must not block."""

    def __init__(
        self, conversation: Conversation, emit: Callable[[Event], None], rules: SegmentRules | None = None
    ) -> None:
        self._conversation = conversation
        self._tools = conversation.tools
        self._emit = emit
        self._rest: Samples = np.zeros(0, dtype=np.float32)
        self._heard: deque[Samples] = deque(maxlen=round(_FINAL_S / _CHUNK_S) + _LOOK_BACK)
        self._chunks = 0
        self._acknowledged = False
        self._noticed = False
        self._may_listen = False
        self._changed = True
        self._utterance: _Utterance | None = None
        self._interim: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self._waiting: Samples | None = None
        self._stop_listening = self._tools.ledger.listen(conversation.person.pseudonym, self._decided)
        self.segment(rules or SegmentRules())

    def segment(self, rules: SegmentRules | None) -> None:
        """Cut utterances by these rules; None leaves it to `commit`."""
        self._segmenter = None if rules is None else Segmenter(rules)
        self._vad = VadState()

    async def consented(self) -> None:
        """Look at the grants again; done by itself before the next frame after a change."""
        self._changed = False
        granted = await self._conversation.grant("voice") is not None
        self._may_listen = granted and self._acknowledged
        if granted and not self._acknowledged and not self._noticed:
            self._noticed = True
            self._emit(NoticeDue(self._tools.ledger.notice))

    async def acknowledge(self, notice: str) -> None:
        """The notice was shown to the person. Raises `Invalid` (`notice_outdated`) for another version."""
        if notice != self._tools.ledger.notice:
            raise Invalid(f"the current notice is version {self._tools.ledger.notice}", code="notice_outdated")
        self._acknowledged = True
        await self.consented()

    async def hear(self, frame: bytes) -> None:
        """Take in PCM16 at 16 kHz. Raises `Invalid` for a broken frame, which is then left out."""
        samples = np.concatenate([self._rest, from_pcm16(frame)])
        whole = len(samples) // CHUNK * CHUNK
        self._rest = samples[whole:].copy()
        for chunk in np.split(samples[:whole], whole // CHUNK) if whole else []:
            await self._hear(chunk)

    async def commit(self) -> None:
        """End the utterance here. Raises `Invalid` (`buffer_empty`) where there is none."""
        if self._utterance is None:
            raise Invalid("no speech to commit", code="buffer_empty")
        if self._segmenter is not None:
            self.segment(self._segmenter.rules)
        await self._end(silent_chunks=0)

    def clear(self) -> None:
        """Forget the audio that was not committed."""
        self._rest = self._rest[:0]
        self._heard.clear()
        self._waiting = None
        self._utterance = None
        if self._segmenter is not None:
            self.segment(self._segmenter.rules)

    async def read(self, item: str, text: str) -> None:
        """Take in something written."""
        self._emit(Replied(item, await self._conversation.read(text)))

    async def close(self) -> None:
        """Let go of everything."""
        self._stop_listening()
        self.clear()
        tasks = [*self._asking, *([self._interim] if self._interim is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _hear(self, chunk: Samples) -> None:
        self._chunks += 1
        await self._ask_again()
        if self._may_listen:
            self._heard.append(chunk)
        if self._segmenter is None:
            if self._utterance is None:
                self._utterance = _Utterance(self._tools.new_id())
            edge = None
        else:
            edge = self._segmenter.process(_CHUNK_S, await self._tools.vad.probability(self._vad, chunk))
        if edge is Edge.STARTED:
            self._utterance = _Utterance(self._tools.new_id())
            self._emit(SpeechStarted(self._utterance.item, self._now_ms))
        if self._utterance is not None:
            self._utterance.chunks += 1
            self._update(self._utterance)
        elif len(self._heard) > _LOOK_BACK:
            self._heard.popleft()
        if edge is Edge.STOPPED and self._segmenter is not None:
            await self._end(silent_chunks=round(self._segmenter.trailing_silence_s / _CHUNK_S))

    @property
    def _now_ms(self) -> int:
        return round(self._chunks * _CHUNK_S * 1000)

    def _update(self, utterance: _Utterance) -> None:
        """Every second, ask for an estimate of the last three; the newest request wins."""
        if utterance.chunks * _CHUNK_S < utterance.next_update_s:
            return
        utterance.next_update_s += _EVERY_S
        if self._may_listen:
            self._waiting = _last(self._heard, _INTERIM_S)
            if self._interim is None or self._interim.done():
                self._interim = asyncio.create_task(self._interims(utterance))

    async def _interims(self, utterance: _Utterance) -> None:
        while self._waiting is not None and self._utterance is utterance:
            window, self._waiting = self._waiting, None
            said = await self._estimate(window, budget_s=_EVERY_S, current=lambda: self._utterance is utterance)
            if isinstance(said, Reading):
                await self._tell(utterance, said, window, final=False)

    async def _end(self, *, silent_chunks: int) -> None:
        """The utterance is over: the last estimate, then the tone and the recommendations."""
        utterance, self._utterance, self._waiting = self._utterance, None, None
        assert utterance is not None
        self._emit(SpeechStopped(utterance.item, self._now_ms))
        spoken = list(self._heard)[: len(self._heard) - silent_chunks]
        self._heard.clear()
        said: Reading | Abstention | None = None
        if self._may_listen:
            window = _last(spoken, _FINAL_S)
            said = await self._estimate(window, budget_s=self._tools.affect_budget_s)
            if said is not None:
                await self._tell(utterance, said, window, final=True)
        self._emit(Replied(utterance.item, await self._conversation.respond(None, said)))

    async def _tell(
        self, utterance: _Utterance, said: Reading | Abstention, window: Samples, *, final: bool
    ) -> None:
        mood = await self._conversation.mood()
        if mood is None and isinstance(said, Abstention):
            mood = Mood.unsaid(said.reason, self._tools.clock())
        if self._may_listen:  # consent may have gone meanwhile
            self._emit(Affect(utterance.item, final, len(window) / SAMPLE_RATE, said, mood))

    async def _estimate(
        self, window: Samples, *, budget_s: float, current: Callable[[], bool] | None = None
    ) -> Reading | Abstention | None:
        """Read a window and take the reading in; None where it may not be read, or is no longer `current`.

        A window in the middle of an utterance has a `current`; the last one has none.
        """
        grant = await self._conversation.grant("voice")
        if grant is None:
            self._stop_hearing()
        if grant is None or not self._may_listen:
            return None
        if self._tools.voice is None:
            return Abstention("voice", "unavailable")
        timeline = await self._conversation.timeline()
        habit = usual(timeline.baseline("voice"), self._tools.voice.population, self._tools.voice.model)
        try:
            async with asyncio.timeout(budget_s):
                scores = await self._tools.voice.read(grant, window, usual=habit, budget_s=budget_s)
        except ConsentRequired:
            return None
        except Exception as error:  # a broken model must not break the stream
            return abstained("voice", error)
        if isinstance(scores, Abstention):
            return scores
        if current is not None and not current():
            return None
        reading = scores.reading()
        try:
            await self._conversation.take_in(grant, reading, passing=current is not None)
        except ConsentRequired:  # withdrawn while the model ran
            return None
        return reading

    def _decided(self, record: Record) -> None:
        """A decision about consent, from this stream or elsewhere: a withdrawal stops everything at once."""
        if record.event == "withdrawn" and record.modality == "voice":
            self._stop_hearing()
        self._changed = True
        self._emit(ConsentChanged(record))
        task = asyncio.get_running_loop().create_task(self._ask_again())
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    def _stop_hearing(self) -> None:
        self._may_listen = False
        self._waiting = None
        self._heard.clear()

    async def _ask_again(self) -> None:
        if self._changed:
            await self.consented()


def _last(chunks: deque[Samples] | list[Samples], seconds: float) -> Samples:
    """The last `seconds` of audio, cut to the grid from the front.

    >>> len(_last([np.zeros(512, dtype=np.float32)] * 40, 1.0)) / 16000
    1.0
    """
    samples = np.concatenate([np.zeros(0, dtype=np.float32), *chunks])[-round(seconds * SAMPLE_RATE) :]
    whole = len(samples) // _GRID * _GRID
    return samples[len(samples) - whole :]
