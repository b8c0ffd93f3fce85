"""A grant: an expiring permission to infer from one modality for one purpose.

To run an affect model a caller must pass a grant, and the reader asks its `Gate` whether it is valid. The ledger is
the gate of the server. It accepts only the very objects that it issued: a copied grant, or one that was kept after
withdrawal, is not valid, and code cannot create one by hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, InitVar, dataclass
from typing import Literal, Protocol

from assistant.emotion import Modality, Purpose
from assistant.errors import ConsentRequired

_ISSUING = object()
"""The ledger and the evaluation gate pass this to create a grant. No other module may import it; a test checks."""


@dataclass(frozen=True, slots=True, eq=False)
class Grant:
    """Permission for one modality and one purpose. Compared by identity; only a gate creates one."""

    kind: Literal["person", "evaluation"]
    person: str | None
    """Pseudonym; an evaluation grant names nobody."""
    modality: Modality
    purpose: Purpose
    notice: str
    """Version of the notice that the person answered."""
    expires_at: float
    """Unix seconds."""
    record: str = ""
    """Id of the ledger's record of it."""
    _: KW_ONLY
    issuing: InitVar[object] = None

    def __post_init__(self, issuing: object) -> None:
        if issuing is not _ISSUING:
            raise ConsentRequired("only the consent ledger issues grants")


class Gate(Protocol):
    """Decides whether a grant is valid now."""

    def check(self, grant: Grant, modality: Modality) -> None:
        """Raise `ConsentRequired` unless `grant` was issued here, covers `modality` and is still valid."""


class EvaluationGate:
    """Lets researchers run the readers on their own files. It issues no grant that names a person."""

    def __init__(self) -> None:
        self._issued: list[Grant] = []

    def issue(self, modality: Modality) -> Grant:
        """Create a grant of kind `evaluation`, valid at this gate only."""
        grant = Grant("evaluation", None, modality, "research", "", float("inf"), issuing=_ISSUING)
        self._issued.append(grant)
        return grant

    def check(self, grant: Grant, modality: Modality) -> None:
        """Raise `ConsentRequired` unless `grant` was issued here, for `modality`."""
        if not any(grant is known for known in self._issued) or grant.modality != modality:
            raise ConsentRequired("this grant was not issued for this evaluation")


def purposes(grants: Iterable[Grant], modality: Modality) -> frozenset[Purpose]:
    """The purposes that `grants` cover for one modality."""
    return frozenset(grant.purpose for grant in grants if grant.modality == modality)
