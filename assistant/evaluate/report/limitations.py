"""What a report does not show: sentences that stand beside its figures, derived from the report itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from assistant.evaluate.figures.groups import INSUFFICIENT
from assistant.evaluate.report.glossary import count

_COVERED = 0.97
"""Share of rows that must be answered for a figure to count."""
_CLUSTERS = 10
"""Speakers below which a percentile interval is known to be too narrow."""
_BAD = 0.01
"""Share of bad rows that is worth a sentence."""


def limits(report: Mapping[str, Any]) -> list[str]:
    """The limits that a reader should know, the most serious first."""
    return [*_of_input(report), *_of_groups(report), *_always(report)]


def _of_input(report: Mapping[str, Any]) -> Iterator[str]:
    rows, clusters = report["n"], report.get("clusters")
    coverage = report["metrics"].get("coverage", {}).get("value")
    if coverage is not None and coverage < _COVERED:
        yield (
            f"Only {coverage:.1%} of the rows were answered. Below {_COVERED:.0%} on clean input the figures "
            "should not be taken as the model's."
        )
    leak = report.get("leakage")
    if leak and not str(leak.get("verdict", "no")).startswith(("no ", "nothing ")):
        found = str(leak["verdict"])
        yield f"{found[:1].upper()}{found[1:]}. What a model has seen before, it answers better."
    corpora = [one["name"] for one in report["model"].get("training_data", ()) if one.get("name")]
    if corpora and not leak and not report.get("folds"):
        yield (
            f"The model learned from {', '.join(corpora)}. On data from there the figures say how well it "
            "remembers: a check against its training data would tell."
        )
    bad = report.get("bad_rows", {}).get("count", 0)
    if bad > _BAD * (rows + bad):
        yield f"{count(bad, 'row')} could not be scored and are not part of any figure."
    if clusters is not None and clusters < 2:
        yield "All rows are one cluster, so there are no intervals."
    elif clusters is not None and clusters < _CLUSTERS and clusters < rows:
        yield f"There are only {clusters} clusters; percentile intervals over so few are too narrow."
    elif clusters == rows and report["task"] not in ("mood", "situnes", "logs"):
        yield "No speakers or authors are named, so intervals take the rows to be independent."


def _of_groups(report: Mapping[str, Any]) -> Iterator[str]:
    notes = {key: str(group.get("note", "")) for key, group in report["groups"].items()}
    thin = [key for key, note in notes.items() if note.startswith(INSUFFICIENT)]
    if thin:
        some = ", ".join(thin[:5]) + (" and more" if len(thin) > 5 else "")
        yield f"Insufficient evidence for {count(len(thin), 'group')} ({some})."
    if not report["groups"] and report["task"] not in ("situnes", "logs"):
        yield "No groups are named, so nothing is known of how the figures differ between people."


def _always(report: Mapping[str, Any]) -> Iterator[str]:
    if report["task"] in ("situnes", "logs"):
        yield "Offline figures say how well past choices are predicted, not how people would take new ones."
    else:
        yield "A label is what somebody judged the expression to be; the figures say nothing of what a person felt."
    yield "The figures hold for these data; other voices, languages, rooms and topics may differ."
