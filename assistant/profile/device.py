"""A device on which a person uses the app: one person may have several, one device belongs to one person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DeviceKind = Literal["phone", "web", "speaker", "watch", "car", "other"]

MAX_DEVICES = 32
"""Most devices of one person."""


@dataclass(frozen=True, slots=True)
class Device:
    """One device, linked to a person."""

    id: str
    """The app's id for the device."""
    kind: DeviceKind
    name: str
    """The person's name for the device."""
    linked_at: float
    """Unix seconds."""
