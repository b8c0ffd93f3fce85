"""Where what was read of a person's mood is kept, for those who grant that it be remembered."""

from __future__ import annotations

from typing import Protocol

from assistant.emotion import Modality, Reading


class MoodLog(Protocol):
    """Where readings of whole utterances and messages are kept."""

    async def add_reading(self, person: str, reading: Reading, at: float) -> None:
        """Keep one, of unix time `at`."""

    async def forget(self, person: str, modality: Modality) -> None:
        """Drop all of one modality."""
