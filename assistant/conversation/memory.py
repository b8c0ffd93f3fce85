"""What is known of people's moods right now, and when they were told that this is a machine.

In memory, bounded, shared by a person's messages and streams.
"""

from __future__ import annotations

from collections import OrderedDict

from assistant.consent.receipt import Record
from assistant.conversation.turns import Turns
from assistant.conversation.used import UsedMoods
from assistant.mood.conformal import UNCALIBRATED, Calibration
from assistant.mood.timeline import Timeline

_PEOPLE = 20_000


class Memory:
    """A timeline for each person of late; the longest unused goes first."""

    def __init__(self, *, half_life_s: float, expires_s: float, calibration: Calibration = UNCALIBRATED) -> None:
        self._half_life_s = half_life_s
        self._expires_s = expires_s
        self._calibration = calibration
        self._timelines: OrderedDict[str, Timeline] = OrderedDict()
        self._disclosed: OrderedDict[str, float] = OrderedDict()
        self.turns = Turns(expires_s=expires_s)
        self.used = UsedMoods()

    def find(self, person: str) -> Timeline | None:
        """The person's timeline, if there is one."""
        return self._timelines.get(person)

    def of(self, person: str) -> Timeline:
        """The person's timeline, made where there is none."""
        timeline = self._timelines.setdefault(
            person,
            Timeline(half_life_s=self._half_life_s, expires_s=self._expires_s, calibration=self._calibration),
        )
        self._timelines.move_to_end(person)
        if len(self._timelines) > _PEOPLE:
            self._timelines.popitem(last=False)
        return timeline

    def forget(self, person: str) -> None:
        """Drop everything about a person."""
        self._timelines.pop(person, None)
        self._disclosed.pop(person, None)
        self.turns.forget(person)
        self.used.forget(person)

    def disclosed_at(self, person: str) -> float | None:
        """When the person was last told that this is a machine, in unix seconds."""
        return self._disclosed.get(person)

    def disclosed(self, person: str, at: float) -> None:
        """They were told, at unix time `at`. Who is forgotten is told again."""
        self._disclosed[person] = at
        self._disclosed.move_to_end(person)
        if len(self._disclosed) > _PEOPLE:
            self._disclosed.popitem(last=False)

    def decided(self, record: Record) -> None:
        """Hear of a decision about consent: where a purpose ends, what was derived from its modality is zeroed."""
        timeline = self._timelines.get(record.person)
        if record.event in ("erased", "restricted"):
            self.forget(record.person)
            return
        if record.event in ("withdrawn", "expired"):
            self.turns.ease(record.person)
            self.used.forget(record.person)
        if record.event in ("withdrawn", "expired") and record.modality is not None and timeline is not None:
            timeline.forget(record.modality)
