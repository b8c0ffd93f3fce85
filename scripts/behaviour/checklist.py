"""CheckList's rules (Ribeiro et al. 2020): when does an answer fail a behavioural test of sentiment?

An abstention fails every test.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from assistant.emotion import SENTIMENTS
from scripts.behaviour.reading import Read, Said, rate

TOLERANCE = 0.1
"""Of confidences, as published with the directional tests."""
USED_TO = '"used to" should reduce'


@dataclass(frozen=True, slots=True)
class Case:
    """One test case: texts whose answers are judged together."""

    test: str
    kind: str
    """MFT (minimum functionality), INV (invariance), DIR (direction)."""
    capability: str
    texts: tuple[str, ...]
    label: int | None
    """Of an MFT: the sentiment's place; None is anything but negative."""


def cases(data: Path) -> list[Case]:
    """The suite, as kept in the data folder."""
    with gzip.open(data / "text/checklist_sentiment/tests.jsonl.gz", "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [Case(r["test"], r["type"], r["capability"], tuple(r["texts"]), r["label"]) for r in rows]


def failed(case: Case, said: Sequence[Said]) -> bool | None:
    """Whether the answers fail the case; None where its rule says nothing about them.

    >>> case = Case("simple negations: not negative", "MFT", "Negation", ("No one hates it.",), None)
    >>> failed(case, [Said((0.6, 0.3, 0.1))]), failed(case, [Said((0.1, 0.6, 0.3))])
    (True, False)
    """
    if any(answer.sentiment is None for answer in said):
        return True
    if case.kind == "MFT":
        label = said[0].label
        return label == "negative" if case.label is None else label != SENTIMENTS[case.label]
    if case.kind == "INV":
        return len({answer.label for answer in said}) > 1
    verdicts = [_wrong_way(case.test, said[0], answer) for answer in said[1:]]
    known = [verdict for verdict in verdicts if verdict is not None]
    return any(known) if known else None


def _wrong_way(test: str, before: Said, after: Said) -> bool | None:
    """The rule of one directional test.

    >>> _wrong_way("add negative phrases", Said((0.1, 0.2, 0.7)), Said((0.1, 0.05, 0.85)))
    True
    >>> _wrong_way("reducers", Said((0.1, 0.2, 0.7)), Said((0.1, 0.15, 0.75)))
    False
    >>> _wrong_way("reducers", Said((0.1, 0.8, 0.1)), Said((0.1, 0.1, 0.8))) is None
    True
    """
    assert before.sentiment
    assert after.sentiment
    if test == "add positive phrases":
        return _valence(after) < _valence(before) - TOLERANCE
    if test == "add negative phrases":
        return _valence(after) > _valence(before) + TOLERANCE
    if before.label == "neutral":
        return None
    place = SENTIMENTS.index(str(before.label))
    rise = after.sentiment[place] - before.sentiment[place]
    if test == "intensifiers":
        return rise < -TOLERANCE
    if test == "reducers":
        return rise > TOLERANCE
    if test == USED_TO:
        return rise > 0
    raise ValueError(f"no rule for the test {test}")


def _valence(said: Said) -> float:
    assert said.valence is not None
    return said.valence


def verdicts(suite: Sequence[Case], read: Read) -> list[bool | None]:
    """Each case's failure."""
    answers = iter(read([text for case in suite for text in case.texts]))
    return [failed(case, [next(answers) for _ in case.texts]) for case in suite]


def measured(suite: Sequence[Case], read: Read, floor: Read) -> list[dict[str, Any]]:
    """Failure rates: minimum functionality in all (negation, the rest), by capability, then every test."""
    ours, theirs = verdicts(suite, read), verdicts(suite, floor)

    def entry(
        name: str, detail: str, places: Iterable[int], more: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        kept = [place for place in places if ours[place] is not None]
        beside = [place for place in kept if theirs[place] is not None]
        return {
            "kind": "checklist",
            "name": name,
            "detail": detail,
            "measure": "failure_rate",
            **rate([bool(ours[place]) for place in kept]),
            **({"floor": round(sum(bool(theirs[p]) for p in beside) / len(beside), 4)} if beside else {}),
            **(more or {}),
        }

    def where(**wanted: str) -> list[int]:
        return [
            place
            for place, case in enumerate(suite)
            if all(getattr(case, key) == value for key, value in wanted.items())
        ]

    negation = where(kind="MFT", capability="Negation")
    rest = [place for place in where(kind="MFT") if place not in set(negation)]
    found = [
        entry("negation, all tests", "MFT", negation, {"at_most": 0.05}),
        entry("all others", "MFT", rest, {"at_most": 0.03}),
    ]
    others = dict.fromkeys(suite[place].capability for place in rest)
    found += [entry(f"{name}, all tests", "MFT", where(kind="MFT", capability=name)) for name in others]
    tests = dict.fromkeys((case.capability, case.kind, case.test) for case in suite)
    found += [
        entry(test, f"{kind}, {capability}", where(test=test, kind=kind, capability=capability))
        for capability, kind, test in tests
    ]
    return found
