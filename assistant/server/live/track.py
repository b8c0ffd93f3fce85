"""One side of a call: whether it may be heard at this moment, and what is heard of it."""

from __future__ import annotations

import base64
import binascii
import logging
from contextlib import suppress
from dataclasses import dataclass

from assistant.audio.intake import AudioFormat, Intake
from assistant.conversation.live.events import Event
from assistant.conversation.live.stream import Stream
from assistant.conversation.session import Conversation
from assistant.errors import AssistantError, Invalid

log = logging.getLogger(__name__)

_ULAW = AudioFormat("audio/pcmu", 8_000)
_BYTES_PER_MS = 8
_SILENCE = b"\xff"
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
    """Mu-law of one person: dropped undecoded unless they let their voice be read and were told the notice."""

    def __init__(self, conversation: Conversation) -> None:
        self.order = Order()
        self._conversation = conversation
        self._stream = Stream(conversation, _unheard, transcription=None)
        self._intake = Intake(_ULAW)
        self._acknowledged = False
        self._hearing = False
        self._end_ms: int | None = None
        """Where the audio so far ends, by the clock of the call."""

    async def acknowledge(self, notice: str) -> None:
        """The person was told this notice. Of any but the current one nothing follows."""
        try:
            await self._stream.acknowledge(notice)
        except Invalid as error:
            log.warning("a call will not be heard: %s", error.code)
        else:
            self._acknowledged = True

    async def hear(self, payload: str, at_ms: int | None) -> None:
        """Take in base64 of mu-law that begins at a time of the call. What can't be decoded is left out."""
        await self.wait_until(at_ms)
        try:
            data = base64.b64decode(payload, validate=True)
        except (binascii.Error, ValueError):
            log.debug("a message of a call was passed over: invalid_base64")
            return
        await self._hear(data)
        if at_ms is not None:
            self._end_ms = at_ms + len(data) // _BYTES_PER_MS

    async def wait_until(self, at_ms: int | None) -> None:
        """It is this late in the call: where nothing came for long, there was silence."""
        if at_ms is None or self._end_ms is None or at_ms - self._end_ms < _GAP_MS:
            return
        await self._hear(_SILENCE * (_BYTES_PER_MS * min(at_ms - self._end_ms, _MOST_SILENCE_MS)))
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
        allowed = self._acknowledged and await self._conversation.readings.grant("voice") is not None
        if self._hearing and not allowed:
            self._intake.flush()
            self._stream.clear()
        self._hearing = allowed
        if allowed:
            try:
                await self._stream.hear(self._intake.decode(data))
            except AssistantError as error:
                log.debug("a piece of a call was not heard: %s", error.code)


def _unheard(event: Event) -> None:
    """A call has nobody who could be told."""
