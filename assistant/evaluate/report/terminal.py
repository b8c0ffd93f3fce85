"""The figures of a report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assistant.evaluate.report.glossary import headline
from assistant.evaluate.report.report import Measured, Number, Report


def summary(report: Report) -> str:
    """The figures, aligned: all, then the leading one by condition, fold and reading, and what was found beside."""
    abstained, bad = sum(report.abstained.values()), report.bad_rows.count if report.bad_rows else 0
    lines = [
        f"{report.task} with {report.model.name}: {report.n} rows, {report.clusters} clusters, "
        f"{abstained} abstained, {bad} bad, {report.seconds:.1f} s",
        *(_line(name, figure) for name, figure in report.metrics.items()),
        *_parts(report),
        *(f"  {note}" for note in report.notes),
        *_leakage(report),
    ]
    return "\n".join(lines)


def _parts(report: Report) -> Iterator[str]:
    key = next(iter(headline(report.task, report.metrics)), "")
    parts: list[tuple[str, Mapping[str, Number]]] = []
    parts += [(f"{key}, {one.name}", one.metrics) for one in report.conditions or ()]
    if report.folds:
        parts += [(f"{key} without {fold.held_out}", fold.metrics) for fold in report.folds.of]
        parts += [(f"{key}, mean of the folds", report.folds.mean or {})]
    parts += [(f"{key}, {name}", figures) for name, figures in (report.compared or {}).items()]
    for name, figures in parts:
        if isinstance(figure := figures.get(key), Measured):
            yield _line(name, figure)
    if report.sets and report.sets.held:
        sets = f"; {report.sets.said:.0%} of the rows have one, of {report.sets.names or 0:.1f} names on average"
        yield _line("sets that hold the label", report.sets.held) + sets
    for gap in report.gaps or ():
        if gap.verdict == "gap":
            yield f"  gap by {gap.column}: {gap.metric} of {gap.best} and of {gap.worst} differ"


def _leakage(report: Report) -> Iterator[str]:
    if report.leakage and report.leakage.against:
        yield f"  against {report.leakage.against}: {report.leakage.verdict}"


def _line(name: str, figure: Measured) -> str:
    if figure.value is None:
        return f"  {name:<20} undefined"
    interval = "" if figure.low is None else f"  [{figure.low:6.3f}, {figure.high:6.3f}]"
    return f"  {name:<20} {figure.value:6.3f}{interval}"
