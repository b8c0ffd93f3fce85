"""What people were shown and what came of it, as far as measures need it: no score, no mood, no text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.recommend.feedback import Kind
from assistant.recommend.holdout import Arm


@dataclass(frozen=True, slots=True)
class Piece:
    """One item on a slate."""

    item: str
    kind: str
    commercial: bool


@dataclass(frozen=True, slots=True)
class Came:
    """One reward."""

    kind: Kind
    reward: float
    """In [0, 1]."""


@dataclass(frozen=True, slots=True)
class Shown:
    """One slate that was shown."""

    person: str
    """Pseudonym."""
    at: float
    """Unix seconds."""
    pieces: tuple[Piece, ...]
    came: tuple[Came, ...] = ()
    arm: Arm | None = None
    """Of the standing experiment; None where the person let no mood be used for content."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The latest slates of an app, newest first; those of people who had the use of their data restricted are left
    out.
    """

    shown: Sequence[Shown]
    read: int
    """Decisions that were read; also those of a tone alone, and what was ranked ahead and never shown."""
    since: float
    """Unix seconds: nothing older was read."""
    whole: bool
    """Everything since then was read; else it was too much, and the oldest is missing."""
