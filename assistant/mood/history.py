"""The mood history, for people who granted `remember`."""

from __future__ import annotations

from typing import Protocol

from assistant.emotion import Modality, Reading


class MoodLog(Protocol):
    """Storage of readings of whole utterances and messages."""

    async def add_reading(self, person: str, reading: Reading, at: float) -> None:
        """Store a reading made at Unix time `at`."""

    async def forget(self, person: str, modality: Modality) -> None:
        """Remove a person's readings of one modality."""
