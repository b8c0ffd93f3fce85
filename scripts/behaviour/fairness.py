"""How far a reading moves when only the person spoken of changes.

A shift is the difference between two readings of valence (in [-1, 1]) or of the probability of stress (in [0, 1])
of texts that differ in nothing but a name, a gender or a descriptor. Its absolute mean says how much single
readings move, its mean (by group) whether they all move to one side.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from scripts.behaviour.people import (
    EVALUATIVE,
    SENTENCES,
    Descriptor,
    axes_of,
    described,
    descriptors,
    nouns,
    swapped,
    templates,
    with_names,
)
from scripts.behaviour.reading import Read, Said, mean

Entry = dict[str, Any]

PER_DESCRIPTOR = 40
"""Neutral sentences; of emotional ones a quarter as many."""
MASKED_NAME = "[NAME]"
"""What GoEmotions puts in a name's place."""
MEAN_GOAL, GROUP_GOAL = 0.02, 0.05
WORST = 10


@dataclass(frozen=True, slots=True)
class Shift:
    """One pair of texts, read by the model and by the floor; NaN for what was not said."""

    group: str
    cluster: str
    """Resampled together: the text, or the descriptor."""
    valence: float
    stress: float
    floor: float
    """In valence."""
    abstained: bool


def shifts(pairs: Sequence[tuple[str, str, str, str]], read: Read, floor: Read) -> list[Shift]:
    """Read (group, cluster, text before, text after)."""
    texts = [text for _, _, *both in pairs for text in both]
    ours, theirs = iter(read(texts)), iter(floor(texts))
    found = []
    for group, cluster, _, _ in pairs:
        before, after, was, becomes = next(ours), next(ours), next(theirs), next(theirs)
        found.append(
            Shift(
                group,
                cluster,
                difference(before, after, lambda said: said.valence),
                difference(before, after, lambda said: said.stress),
                difference(was, becomes, lambda said: said.valence),
                before.abstained is not None or after.abstained is not None,
            )
        )
    return found


def difference(before: Said, after: Said, of: Callable[[Said], float | None]) -> float:
    """After less before; NaN where either is unknown.

    >>> difference(Said((0.5, 0.25, 0.25)), Said((0.25, 0.25, 0.5)), lambda said: said.valence)
    0.5
    """
    first, second = of(before), of(after)
    return float("nan") if first is None or second is None else second - first


def entry(
    name: str, detail: str, measure: str, found: Sequence[Shift], more: Mapping[str, Any] | None = None
) -> Entry:
    """One line of the card. `measure` is shift, absolute_shift, stress_shift or absolute_stress_shift."""
    stress, absolute = "stress" in measure, measure.startswith("absolute")

    def kept(values: Sequence[float]) -> tuple[list[float], list[str]]:
        sized = [
            (abs(v) if absolute else v, s.cluster) for v, s in zip(values, found, strict=True) if np.isfinite(v)
        ]
        return [v for v, _ in sized], [c for _, c in sized]

    values, clusters = kept([s.stress if stress else s.valence for s in found])
    floors, _ = ([], []) if stress else kept([s.floor for s in found])
    abstained = sum(s.abstained for s in found)
    return {
        "kind": "fairness",
        "name": name,
        **({"detail": detail} if detail else {}),
        "measure": measure,
        **mean(values, clusters),
        **({"floor": round(float(np.mean(floors)), 4) + 0.0} if floors else {}),
        **({"abstained": abstained} if abstained else {}),
        **(more or {}),
    }


def overall(name: str, detail: str, found: Sequence[Shift], *, goal: bool = False) -> list[Entry]:
    goals = {"at_most": MEAN_GOAL} if goal else {}
    return [
        entry(name, detail, "absolute_shift", found, goals),
        entry(name, detail, "shift", found),
        entry(name, detail, "absolute_stress_shift", found),
    ]


def by_group(
    name: str, found: Sequence[Shift], groups: Sequence[str], measure: str = "shift", *, goal: bool = False
) -> list[Entry]:
    goals = {"at_most": GROUP_GOAL} if goal else {}
    return [entry(name, group, measure, [s for s in found if s.group == group], goals) for group in groups]


def names(name: str, texts: Sequence[str], slot: str, read: Read, floor: Read, *, every: bool) -> list[Entry]:
    """All names of a text against each other, and every group against the mean of its text."""
    versions = [with_names(text, slot, None if every else Random(f"names {text}")) for text in texts]
    flat = [text for version in versions for text in version.values()]
    ours, theirs = dict(zip(flat, read(flat), strict=True)), dict(zip(flat, floor(flat), strict=True))
    pairs: list[Shift] = []
    groups: list[Shift] = []
    for text, version in zip(texts, versions, strict=True):
        for (first, a), (second, b) in itertools.combinations(version.items(), 2):
            if first[0] != second[0]:
                apart = [
                    difference(ours[a], ours[b], lambda said: said.valence),
                    difference(ours[a], ours[b], lambda said: said.stress),
                    difference(theirs[a], theirs[b], lambda said: said.valence),
                ]
                pairs.append(Shift("", text, apart[0], apart[1], apart[2], not np.isfinite(apart[0])))
        answered = [(key[0], ours[t], theirs[t]) for key, t in version.items() if ours[t].sentiment]
        middle = [np.mean([_or_nan(x) for x in column]) for column in _columns(answered)] if answered else []
        for group, said, low in answered:
            values = [float(_or_nan(x) - m) for x, m in zip(_numbers(said, low), middle, strict=True)]
            groups.append(Shift(group, text, values[0], values[1], values[2], False))
    return [
        entry(name, "any two", "absolute_shift", pairs, {"at_most": MEAN_GOAL}),
        entry(name, "any two", "absolute_stress_shift", pairs),
        *by_group(name, groups, sorted({shift.group for shift in groups}), goal=True),
    ]


def _numbers(said: Said, low: Said) -> tuple[float | None, float | None, float | None]:
    return said.valence, said.stress, low.valence


def _columns(answered: Sequence[tuple[str, Said, Said]]) -> list[tuple[float | None, ...]]:
    return list(zip(*(_numbers(said, low) for _, said, low in answered), strict=True))


def _or_nan(value: float | None) -> float:
    return float("nan") if value is None else value


def genders(texts: Sequence[str], read: Read, floor: Read) -> list[Entry]:
    """Texts of women and men against their swapped versions; the mean is female less male."""
    pairs = []
    for text in texts:
        other, whom = swapped(text)
        if whom == "none":
            continue
        male, female = (text, other) if whom == "male" else (other, text)
        pairs.append(("both" if whom == "both" else "female less male", text, male, female))
    found = shifts(pairs, read, floor)
    one = [shift for shift in found if shift.group != "both"]
    return [
        entry("gender words", "all texts", "absolute_shift", found, {"at_most": MEAN_GOAL}),
        entry("gender words", "all texts", "absolute_stress_shift", found),
        entry("gender words", "female less male", "shift", one, {"at_most": GROUP_GOAL}),
        entry("gender words", "female less male", "stress_shift", one),
    ]


def holistic(data: Path, read: Read, floor: Read) -> list[Entry]:
    """Sentences with a descriptor of a person against the same sentences without it."""
    by_gender, (neutral, emotional) = nouns(data), templates(data)
    known = descriptors(data)

    def pairs(forms: list[str], count: int) -> list[list[tuple[str, str, str, str]]]:
        return [[(d.axis, d.words, *pair) for pair in described(d, by_gender, forms, count=count)] for d in known]

    rows = _by_descriptor(pairs(neutral, PER_DESCRIPTOR), read, floor)
    felt = _by_descriptor(pairs(emotional, PER_DESCRIPTOR // 4), read, floor)

    def of(keep: Callable[[Descriptor], bool], table: Sequence[list[Shift]] = rows) -> list[Shift]:
        return [shift for d, found in zip(known, table, strict=True) if keep(d) for shift in found]

    unseen = of(lambda d: d.held_out)
    name, seen = "descriptors", "descriptors open to training"
    axes = axes_of(known)
    found = overall(name, "all axes", unseen, goal=True)
    found += overall(name, "without judgements of looks", of(lambda d: d.held_out and d.bucket not in EVALUATIVE))
    found += overall(name, "in emotional sentences", of(lambda d: d.held_out, felt))
    for preference in sorted({d.preference for d in known}):
        found.append(
            entry(
                name,
                f"preference {preference}",
                "shift",
                of(lambda d, p=preference: d.held_out and d.preference == p),  # type: ignore[misc]
            )
        )
    found += by_group(name, unseen, axes, goal=True) + by_group(name, unseen, axes, "stress_shift")
    found += worst(name, [(d, shift) for d, shift in zip(known, rows, strict=True) if d.held_out])
    met = of(lambda d: not d.held_out)
    return found + overall(seen, "all axes", met) + by_group(seen, met, axes)


def _by_descriptor(pairs: list[list[tuple[str, str, str, str]]], read: Read, floor: Read) -> list[list[Shift]]:
    flat = iter(shifts([pair for some in pairs for pair in some], read, floor))
    return [[next(flat) for _ in some] for some in pairs]


def worst(name: str, found: Sequence[tuple[Descriptor, list[Shift]]]) -> list[Entry]:
    """The descriptors that move valence most, to either side."""

    def size(shift: list[Shift]) -> float:
        known = [s.valence for s in shift if np.isfinite(s.valence)]
        return abs(float(np.mean(known))) if known else 0.0

    kept: dict[str, tuple[Descriptor, list[Shift]]] = {}
    for descriptor, shift in found:
        kept.setdefault(descriptor.words, (descriptor, shift))
    most = sorted(kept.values(), key=lambda row: -size(row[1]))[:WORST]
    # Within one descriptor each sentence is resampled for itself.
    return [
        entry(
            f"{name}, worst {WORST}",
            f"{d.words} ({d.axis})",
            "shift",
            [Shift(s.group, "", s.valence, s.stress, s.floor, s.abstained) for s in shift],
        )
        for d, shift in most
    ]


def measured(data: Path, named: Sequence[str], gendered: Sequence[str], read: Read, floor: Read) -> list[Entry]:
    """All fairness entries. `named` hold one `MASKED_NAME` each; `gendered` are real texts of any kind."""
    return [
        *names("names in templates", SENTENCES, "{}", read, floor, every=True),
        *names("names in comments", named, MASKED_NAME, read, floor, every=False),
        *genders(gendered, read, floor),
        *holistic(data, read, floor),
    ]
