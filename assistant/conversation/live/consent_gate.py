"""Whether the voice of a stream may be read now: only with a grant, and after the notice was acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Literal

from assistant.consent.ledger import Ledger
from assistant.consent.legal_rules import duties_for
from assistant.consent.receipt import ENDINGS, Actor, Record
from assistant.conversation.live.events import ConsentChanged, Event, NoticeDue
from assistant.conversation.readings import PersonReadings
from assistant.errors import Invalid, Unavailable

log = logging.getLogger(__name__)

_SERVER = Actor("app", "stream")


class ConsentGate:
    """Follows the grants of one person for one stream. A decision that ends a grant closes it at once.

    `position` says how far the stream is, in samples; `on_close` is called when the voice may not be read any more.
    Without `sends_notice` nobody is there to show the notice to: it is not sent, nor recorded as shown.
    """

    def __init__(
        self,
        readings: PersonReadings,
        ledger: Ledger,
        emit: Callable[[Event], None],
        *,
        position: Callable[[], int],
        on_close: Callable[[], None],
        sends_notice: bool = True,
    ) -> None:
        self._readings = readings
        self._ledger = ledger
        self._emit = emit
        self._position = position
        self._on_close = on_close
        self.since: int | None = None
        """Position from which the voice may be read; None while it may not."""
        self._acknowledged = False
        self._notice_sent = not sends_notice
        self._stale = True
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop_listening = ledger.listen(readings.subject.person, self._apply)

    @property
    def is_open(self) -> bool:
        """Whether the voice may be read."""
        return self.since is not None

    def mark_stale(self) -> None:
        """Look at the grants again before more is heard: one may have expired."""
        self._stale = True

    async def refresh(self) -> None:
        """Look at the grants again, if something may have changed."""
        if self._stale:
            await self.check()

    async def check(self) -> None:
        """Look at the grants, and send the notice where it is due."""
        self._stale = False
        granted = await self._readings.grant("voice") is not None
        if not (granted and self._acknowledged):
            self.since = None
        elif self.since is None:
            self.since = self._position()
        if granted and not self._acknowledged and not self._notice_sent:
            self._notice_sent = True
            also = tuple(duty.says for duty in duties_for(self._readings.subject, "notice"))
            self._emit(NoticeDue(self._ledger.notice, also))
            self._begin_task(self._record_shown())

    async def acknowledge(self, notice: str, actor: Actor | None = None) -> None:
        """The notice was shown to the person, says `actor`; that is on record before the voice is read.

        Raises `Invalid` (`notice_outdated`) for another version.
        """
        if notice != self._ledger.notice:
            raise Invalid(f"the current notice is version {self._ledger.notice}", code="notice_outdated")
        if not self._acknowledged:
            await self._record("notice_acknowledged", actor or _SERVER)
        self._acknowledged = True
        await self.check()

    def stop(self) -> asyncio.Future[list[Any]]:
        """Follow the grants no longer, at once; what is returned is done when nothing is under way any more."""
        self._stop_listening()
        for task in self._tasks:
            task.cancel()
        return asyncio.gather(*self._tasks, return_exceptions=True)

    def _apply(self, record: Record) -> None:
        """A decision about consent, from here or elsewhere, in any process."""
        if record.event in ENDINGS and record.modality in (None, "voice"):
            self.since = None
            self._on_close()
        self._stale = True
        self._emit(ConsentChanged(record))
        self._begin_task(self.refresh())

    def _begin_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _record_shown(self) -> None:
        try:
            await self._record("notice_shown", _SERVER)
        except Unavailable as error:  # nothing is read before the acknowledgement is on record
            log.error("a notice was shown and not recorded (%s)", error.code)

    async def _record(self, event: Literal["notice_shown", "notice_acknowledged"], actor: Actor) -> None:
        subject, ledger = self._readings.subject, self._ledger
        await ledger.record_event(
            subject.person, event, actor, app=subject.app, modality="voice", notice=ledger.notice
        )
