"""What a report does not show: sentences beside its figures, made from the report itself."""

from __future__ import annotations

from collections.abc import Iterator

from assistant.evaluate.figures.groups import INSUFFICIENT
from assistant.evaluate.report.formatting import format_count, make_sentence
from assistant.evaluate.report.report import Report

_COVERED = 0.97
"""Share of rows that must be answered for a figure to count."""
_CLUSTERS = 10
"""Speakers below which a percentile interval is known to be too narrow."""
_BAD = 0.01
"""Share of bad rows that is worth a sentence."""


def list_limits(report: Report) -> list[str]:
    """The limits that a reader should know, the most serious first."""
    return [*_of_input(report), *_of_groups(report), *_always(report)]


def _of_input(report: Report) -> Iterator[str]:
    rows, clusters = report.n, report.clusters or None
    coverage = report.metrics["coverage"].value if "coverage" in report.metrics else None
    if coverage is not None and coverage < _COVERED:
        yield (
            f"Only {coverage:.1%} of the rows were answered. Below {_COVERED:.0%} on clean input, do not take the "
            "figures as those of the model."
        )
    leak = report.leakage
    if leak and not leak.verdict.startswith(("no ", "nothing ")):
        yield f"{make_sentence(leak.verdict)} A model does better on what it was trained on."
    corpora = [one.name for one in report.model.training_data or () if one.name]
    if corpora and not leak and not report.folds:
        yield (
            f"The model was trained on {', '.join(corpora)}. On data from there the figures show how well it "
            "remembers. Check against its training data with --against."
        )
    bad = report.bad_rows.count if report.bad_rows else 0
    if bad > _BAD * (rows + bad):
        yield f"{format_count(bad, 'row')} could not be scored and are not part of any figure."
    if clusters is not None and clusters < 2:
        yield "All rows are one cluster, so there are no intervals."
    elif clusters is not None and clusters < _CLUSTERS and clusters < rows:
        yield f"There are only {clusters} clusters. Percentile intervals over so few are too narrow."
    elif clusters == rows and report.task not in ("mood", "situnes", "logs"):
        yield "No speakers or authors are named, so intervals treat the rows as independent."


def _of_groups(report: Report) -> Iterator[str]:
    thin = [key for key, group in report.groups.items() if (group.note or "").startswith(INSUFFICIENT)]
    if thin:
        some = ", ".join(thin[:5]) + (" and more" if len(thin) > 5 else "")
        yield f"Insufficient evidence for {format_count(len(thin), 'group')} ({some})."
    if not report.groups and report.task not in ("situnes", "logs"):
        yield "No groups are named, so nothing is known about differences between people."


def _always(report: Report) -> Iterator[str]:
    if report.task in ("situnes", "logs"):
        yield "Offline figures show how well past choices are predicted, not how people would react to new ones."
    else:
        yield "A label is how somebody judged an expression. The figures say nothing about what a person felt."
    yield "The figures hold for these data. Other voices, languages, rooms and topics may differ."
