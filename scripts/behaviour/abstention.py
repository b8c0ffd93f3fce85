"""Does the reader abstain from what it can't read, and only from that?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from scripts.behaviour.reading import Read, rate

Entry = dict[str, Any]


def measured(
    unreadable: Sequence[Mapping[str, str]], readable: Mapping[str, Sequence[str]], read: Read
) -> list[Entry]:
    """The abstention rate by kind of unreadable text, with the reasons given; the coverage of each readable set."""
    found: list[Entry] = []
    for kind in dict.fromkeys(row["kind"] for row in unreadable):
        said = read([row["text"] for row in unreadable if row["kind"] == kind])
        reasons = Counter(answer.abstained for answer in said if answer.abstained)
        found.append(
            {
                "kind": "abstention",
                "name": kind.replace("_", " "),
                "detail": ", ".join(f"{reason} {count}" for reason, count in reasons.most_common()) or "never",
                "measure": "abstention_rate",
                **rate([answer.abstained is not None for answer in said]),
            }
        )
    for name, texts in readable.items():
        said = read(texts)
        found.append(
            {
                "kind": "abstention",
                "name": name,
                "measure": "coverage",
                **rate([answer.abstained is None for answer in said]),
            }
        )
    return found
