"""The figures of a report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from assistant.evaluate.report.glossary import choose_headline
from assistant.evaluate.report.report import Measured, Number, Report


def format_summary(report: Report) -> str:
    """All figures, aligned; then the leading one by condition, fold and reading; then gaps, notes and leakage."""
    places = 5 if report.task == "logs" else 3
    return "\n".join(
        [
            _heading(report),
            *(_line(name, figure, places) for name, figure in report.metrics.items()),
            *_parts(report),
            *(f"  {note}" for note in report.notes),
            *_leakage(report),
        ]
    )


def _heading(report: Report) -> str:
    parts = [f"{report.n} rows", f"{report.clusters} clusters", f"{sum(report.abstained.values())} abstained"]
    if report.splits:
        parts.append(f"{report.splits} splits")
    if report.bad_rows:
        parts.append(f"{report.bad_rows.count} bad")
    return f"{report.task} with {report.model.name}: {', '.join(parts)}, {report.seconds:.1f} s"


def _parts(report: Report) -> Iterator[str]:
    key = next(iter(choose_headline(report.task, report.metrics)), "")
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
    if report.weights:
        effective, largest = (report.weights[key] or 0 for key in ("effective_sample_size", "largest"))
        yield f"  effective sample size {effective:.1f}, largest weight {largest:.3g}"
    for gap in report.gaps or ():
        if gap.verdict == "gap":
            yield f"  gap by {gap.column}: {gap.metric} of {gap.best} and of {gap.worst} differ"


def _leakage(report: Report) -> Iterator[str]:
    if report.leakage and report.leakage.against:
        yield f"  against {report.leakage.against}: {report.leakage.verdict}"


def _line(name: str, figure: Measured, places: int = 3) -> str:
    if figure.value is None:
        return f"  {name:<20} undefined"
    value, low, high = (f"{end or 0:{places + 3}.{places}f}" for end in (figure.value, figure.low, figure.high))
    return f"  {name:<20} {value}" + ("" if figure.low is None else f"  [{low}, {high}]")
