"""The sections of the page that show the figures of one run: each a pure function of the report."""

from __future__ import annotations

from collections.abc import Mapping

from assistant.evaluate.report import plots
from assistant.evaluate.report.formatting import as_figure, format_figure, format_interval, format_number
from assistant.evaluate.report.glossary import choose_headline, get_metric
from assistant.evaluate.report.report import Reliability, Report, RiskCoverage
from assistant.evaluate.report.view import Cell, Illustration, Scale, Section, Table

Counts = Mapping[str, Mapping[str, int]]
_UNIT = (0.0, 1.0)
_CLASS_FIGURES = ("precision", "recall", "f1", "auc")


def figures(report: Report) -> Section:
    """All figures with their intervals."""
    known = {key: get_metric(key) for key in report.metrics}
    ends = (min((m.ends[0] for m in known.values() if m.ends), default=0.0), 1.0)
    classes = len(report.confusion or ())
    chance = 1 / classes if classes > 1 else None
    marks = {"uar": chance, "macro_recall": chance, "auc": 0.5, "macro_auc": 0.5}
    rows = [
        (
            Cell(m.name, detail=m.meaning),
            format_number(report.metrics[key].value),
            format_interval(report.metrics[key]),
            Cell(bar=plots.bar(report.metrics[key], ends, marks.get(key))) if m.ends and m.ends[1] <= 1 else "",
        )
        for key, m in known.items()
    ]
    legend = "The vertical line is chance." if any(marks.get(key) is not None for key in known) else ""
    head = ("", "value", "95 % interval", Scale(ends))
    return Section("figures", "All figures", tables=[Table(head, rows, "tnnp", "Figures over all rows.", legend)])


def confusion(report: Report) -> Section:
    """What was predicted for each true class."""
    counts = report.confusion or {}
    if not counts:
        return Section("confusion-matrix", "Confusion matrix")
    caption = (
        "Confusion matrix in rows. Down: the true class. Across: the predicted class. The stronger the colour, the "
        "larger the share of the true class."
    )
    table = _shares(counts) if len(counts) <= plots.FEW else _mistakes(counts)
    return Section(
        "confusion-matrix",
        "Confusion matrix",
        illustrations=[Illustration(plots.confusion("confusion", counts), caption, table)],
    )


def _shares(counts: Counts) -> Table:
    predicted = list(dict.fromkeys(name for row in counts.values() for name in row))
    rows = [
        (truth, *(_percent(row.get(name, 0), sum(row.values())) for name in predicted), f"{sum(row.values()):,}")
        for truth, row in counts.items()
    ]
    head = ("true class", *predicted, "rows")
    return Table(head, rows, "t" + "n" * (len(predicted) + 1), "Percent of the true class.")


def _mistakes(counts: Counts) -> Table:
    """Of many classes: the share that was right, and the most frequent mistakes."""
    rows = []
    for truth, row in counts.items():
        total = sum(row.values())
        wrong = sorted(((n, name) for name, n in row.items() if n and name != truth), key=lambda one: -one[0])
        mistakes = ", ".join(f"{name} {_percent(n, total)}" for n, name in wrong[:3])
        rows.append((truth, f"{total:,}", _percent(row.get(truth, 0), total), mistakes or "–"))
    head = ("true class", "rows", "right", "most often mistaken for")
    return Table(head, rows, "tnnw", "Percent of the true class.")


def _percent(part: int, whole: int) -> str:
    """A share in percent.

    >>> _percent(1, 3), _percent(0, 3), _percent(0, 0)
    ('33.3', '·', '·')
    """
    return f"{100 * part / whole:.1f}" if part else "·"


def classes(report: Report) -> Section:
    """Each class or label."""
    lead = "recall" if choose_headline(report.task, report.metrics)[:1] in (("uar",), ("macro_recall",)) else "f1"
    every = report.per_class.values()
    keys = [key for key in _CLASS_FIGURES if any(getattr(row, key) or getattr(row, key) == 0 for row in every)]
    rows: list[tuple[str | Cell, ...]] = [
        (
            name,
            f"{row.support or 0:,}",
            *(format_figure(getattr(row, key)) for key in keys),
            Cell(bar=plots.bar(as_figure(getattr(row, lead)), _UNIT)),
        )
        for name, row in report.per_class.items()
    ]
    head: tuple[str | Scale, ...] = (
        "",
        "rows",
        *(get_metric(key).name for key in keys),
        Scale(_UNIT, get_metric(lead).name),
    )
    what = "label" if report.task == "labels" else "class"
    table = Table(head, rows, "tn" + "n" * len(keys) + "p", legend=f"The bars show {get_metric(lead).name}.")
    return Section("classes", f"By {what}", tables=[table] if rows else [])


def confidence(report: Report) -> Section:
    """Reliability and risk-coverage, drawn and in numbers."""
    curves, illustrations = report.curves, []
    if curves and curves.reliability and sum(curves.reliability.n):
        illustrations.append(_reliability(curves.reliability))
    if curves and curves.risk_coverage and curves.risk_coverage.coverage:
        illustrations.append(_risk_coverage(curves.risk_coverage))
    return Section("confidence", "Confidence", illustrations=illustrations)


def _reliability(bins: Reliability) -> Illustration:
    columns = (bins.edges, bins.edges[1:], bins.n, bins.confidence, bins.hits)
    rows = [
        (f"{low:.2f} to {high:.2f}", f"{n:,}", format_number(sure), format_number(hit))
        for low, high, n, sure, hit in zip(*columns, strict=False)
        if n
    ]
    return Illustration(
        plots.reliability("reliability", bins.edges, bins.n, bins.confidence, bins.hits),
        "Reliability. On the dashed line, confidence equals the share that is right. Below it, the model is "
        "overconfident. Grey bars: how many predictions are in a bin.",
        Table(("confidence", "predictions", "mean", "right"), rows, "tnnn", "Reliability by bin of confidence."),
    )


def _risk_coverage(curve: RiskCoverage) -> Illustration:
    points = [(x, y) for x, y in zip(curve.coverage, curve.risk, strict=True) if x is not None]
    some = dict.fromkeys(min(points, key=lambda point: abs(point[0] - tenth / 10)) for tenth in range(1, 11))
    area = f" Area under the curve: {format_figure(curve.aurc)}." if curve.aurc else ""
    return Illustration(
        plots.risk_coverage("risk", curve.coverage, curve.risk),
        f"Risk and coverage. How often the model is wrong if it answers only its most confident rows.{area}",
        Table(
            ("coverage", "risk"),
            [(format_number(x, 2), format_number(y)) for x, y in some],
            "tn",
            "Risk by coverage.",
        ),
    )


def emotion_sets(report: Report) -> Section:
    """How often the sets of a mood hold the label."""
    text, sets = "", report.sets
    if sets and sets.held:
        text = (
            f"For {sets.said:.0%} of the rows the mood gives a set of emotions, with {sets.names or 0:.1f} names "
            f"on average. Share of these sets that hold the label: {format_figure(sets.held)}; the target is 0.900."
        )
    return Section("sets", "Sets of emotions", text)
