"""One side of a call: whether it may be heard at this moment, and what is heard of it."""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from assistant.audio.byte_order import ByteOrder
from assistant.audio.intake import AudioFormat, Intake
from assistant.conversation.dictation import Transcription
from assistant.conversation.live.events import ConsentChanged, Event, Failed
from assistant.conversation.live.stream import Stream
from assistant.conversation.session import Conversation
from assistant.errors import AssistantError, Invalid

log = logging.getLogger(__name__)

_SILENCE = {"audio/pcmu": b"\xff", "audio/pcma": b"\xd5", "audio/pcm": b"\0\0"}
"""A sample of it in each format."""
_GAP_MS = 300
"""A shorter hole is closed; a longer one becomes silence."""
_MOST_SILENCE_MS = 1_000
"""At most this much of it: enough to end a turn."""


@dataclass(slots=True)
class Order:
    """Lets a message pass that is newer than all before it.

    >>> order = Order()
    >>> [order.passes(number) for number in (2, 3, 3, 1, 7, None)]
    [True, True, False, False, True, True]
    """

    last: int = -1

    def passes(self, number: int | None) -> bool:
        """Whether this is news; a message without a number always is."""
        if number is None:
            return True
        news = number > self.last
        self.last = max(self.last, number)
        return news


class Track:
    """Audio of one person, dropped undecoded unless something may be heard in it.

    That is the voice, where they let it be read and were told the notice, or the words, where `transcription` says
    so. `tell` gets what is heard.
    """

    def __init__(
        self,
        conversation: Conversation,
        form: AudioFormat,
        tell: Callable[[Event], None],
        transcription: Transcription | None = None,
    ) -> None:
        self.order = Order()
        self._conversation = conversation
        self._tell = tell
        self._stream = Stream(conversation, self._pass_on, transcription=transcription, sends_notice=False)
        self._intake = Intake(form)
        self._byte_order = ByteOrder() if form.type == "audio/pcm" else None
        self._sample = _SILENCE[form.type]
        self._rate = form.rate
        self._acknowledged = False
        self._hearing = False
        self._erased = False
        self._faults: set[str] = set()
        """Codes that were told: each is told once."""
        self._end_ms: int | None = None
        """Where the audio so far ends, by the clock of the call."""

    @property
    def transcribes(self) -> bool:
        """Whether its words are told."""
        return self._stream.transcribes

    @property
    def acknowledged(self) -> bool:
        """Whether the person was told the current notice."""
        return self._acknowledged

    async def acknowledge(self, notice: str) -> None:
        """The person was told this notice. Of any but the current one nothing follows, which is told."""
        try:
            await self._stream.acknowledge(notice)
        except Invalid as error:
            log.warning("a voice in a call will not be read: %s", error.code)
            self._tell_fault(error)
        else:
            self._acknowledged = True

    async def hear(self, payload: str | bytes, at_ms: int | None) -> None:
        """Take in audio, or base64 of it, that begins at a time of the call. What can't be decoded is left out."""
        await self.wait_until(at_ms)
        try:
            data = base64.b64decode(payload, validate=True) if isinstance(payload, str) else payload
        except (binascii.Error, ValueError):
            self._tell_fault(Invalid("`media.payload` is not base64", code="invalid_base64"))
            return
        await self._hear(data)
        if at_ms is not None:
            self._end_ms = at_ms + len(data) // len(self._sample) * 1000 // self._rate

    async def wait_until(self, at_ms: int | None) -> None:
        """It is this late in the call: where nothing came for long, there was silence."""
        if at_ms is None or self._end_ms is None or at_ms - self._end_ms < _GAP_MS:
            return
        await self._hear(self._sample * (min(at_ms - self._end_ms, _MOST_SILENCE_MS) * self._rate // 1000))
        self._end_ms = at_ms

    async def end(self) -> None:
        """The call is over: what was said last is read too."""
        await self._hear(b"")  # or may it not be, by now
        if not self._hearing:
            return
        with suppress(AssistantError):
            await self._stream.hear(self._intake.flush())
        with suppress(Invalid):  # nobody was speaking
            await self._stream.commit()
        await self._stream.wait_for_answers()

    async def close(self) -> None:
        """Let go of everything."""
        await self._stream.close()

    async def _hear(self, data: bytes) -> None:
        allowed = not self._erased and (self.transcribes or await self._may_read())
        if self._hearing and not allowed:
            self._intake.flush()
            self._stream.clear()
        self._hearing = allowed
        if allowed:
            try:
                ordered = data if self._byte_order is None else self._byte_order.turn(data)
                await self._stream.hear(self._intake.decode(ordered))
            except AssistantError as error:
                self._tell_fault(error)

    async def _may_read(self) -> bool:
        return self._acknowledged and await self._conversation.readings.grant("voice") is not None

    def _pass_on(self, event: Event) -> None:
        if self._erased:
            return
        self._tell(event)
        if isinstance(event, ConsentChanged) and event.record.event == "erased":
            self._erased = True
            self._stream.transcribe(None)
            self._stream.clear()

    def _tell_fault(self, error: AssistantError) -> None:
        log.debug("a piece of a call was not heard: %s", error.code)
        if error.code not in self._faults:
            self._faults.add(error.code)
            self._tell(Failed("", error))
