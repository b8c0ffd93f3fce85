"""People's recent readings, and when they were told that this is a machine.

In memory, bounded, shared by a person's messages and streams.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from assistant.consent.receipt import Record
from assistant.conversation.moods_used import MoodsUsedMemory
from assistant.conversation.progress import ProgressMemory
from assistant.mood.timeline import Timeline

_PEOPLE = 20_000


class Memory:
    """A timeline for each recent person; the longest unused goes first."""

    def __init__(self, new_timeline: Callable[[], Timeline], *, expires_s: float) -> None:
        """`expires_s`: seconds without a message after which another conversation begins."""
        self._new_timeline = new_timeline
        self._timelines: OrderedDict[str, Timeline] = OrderedDict()
        self._disclosed: OrderedDict[str, float] = OrderedDict()
        self.progress = ProgressMemory(expires_s=expires_s)
        self.moods_used = MoodsUsedMemory()

    def find_timeline(self, person: str) -> Timeline | None:
        """The person's timeline, if there is one."""
        return self._timelines.get(person)

    def timeline(self, person: str) -> Timeline:
        """The person's timeline, made where there is none."""
        timeline = self._timelines.get(person) or self._new_timeline()
        self._timelines[person] = timeline
        self._timelines.move_to_end(person)
        if len(self._timelines) > _PEOPLE:
            self._timelines.popitem(last=False)
        return timeline

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        self._timelines.pop(person, None)
        self._disclosed.pop(person, None)
        self.progress.forget(person)
        self.moods_used.forget(person)

    def disclosed_at(self, person: str) -> float | None:
        """When the person was last told that this is a machine, in unix seconds."""
        return self._disclosed.get(person)

    def note_disclosure(self, person: str, at: float) -> None:
        """They were told, at unix time `at`. Somebody who was forgotten is told again."""
        self._disclosed[person] = at
        self._disclosed.move_to_end(person)
        if len(self._disclosed) > _PEOPLE:
            self._disclosed.popitem(last=False)

    def apply_consent(self, record: Record) -> None:
        """A decision about consent was recorded: where a purpose ends, drop what was derived from its modality."""
        timeline = self._timelines.get(record.person)
        if record.event in ("erased", "restricted"):
            self.forget(record.person)
            return
        if record.event in ("withdrawn", "expired"):
            self.progress.release_tone(record.person)
            self.moods_used.forget(record.person)
        if record.event in ("withdrawn", "expired") and record.modality is not None and timeline is not None:
            timeline.forget(record.modality)
