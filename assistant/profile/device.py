"""A device on which a person uses the app: one person may have several, one device belongs to one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DeviceKind = Literal["phone", "web", "speaker", "watch", "car", "other"]

MAX_DEVICES = 32
"""Of one person."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device, linked to a person."""

    id: str
    """What the app calls it."""
    kind: DeviceKind
    name: str
    """What the person calls it."""
    linked_at: float
    """Unix seconds."""
