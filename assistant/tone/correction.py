"""The correction that a person is offered where a rule read their mood wrongly."""

from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from assistant.tone.condition import EmotionName, Scale


class OfferedCorrection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What the person can say of themself instead: the body of `POST /v1/people/{person}/mood/corrections`."""

    stress: bool | UnsetType = UNSET
    valence: Scale | UnsetType = UNSET
    """From -1 (unpleasant) to 1 (pleasant)."""
    arousal: Scale | UnsetType = UNSET
    """From -1 (calm) to 1 (activated)."""
    emotion: EmotionName | UnsetType = UNSET

    def named(self) -> dict[str, bool | float | str]:
        """The members that are given."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
