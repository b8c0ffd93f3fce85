"""The sections of `report.html` that hold figures: each a pure function of the report, empty where it has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assistant.evaluate.report import plots
from assistant.evaluate.report.glossary import headline, interval, metric, number, written
from assistant.evaluate.report.html import Markup, figure, joined, section, table, tag

Report = Mapping[str, Any]
Figures = Mapping[str, Mapping[str, float | None]]
_UNIT = (0.0, 1.0)


def overall(report: Report) -> Markup:
    """All figures with their intervals."""
    marks = {"uar": _chance(report), "macro_recall": _chance(report), "auc": 0.5, "macro_auc": 0.5}
    return section("figures", "All figures", _figures("Figures over all rows.", report["metrics"], marks=marks))


def _chance(report: Report) -> float | None:
    names = len(report.get("confusion") or ())
    return 1 / names if names > 1 else None


def _figures(caption: str, found: Figures, *, marks: Mapping[str, float | None] | None = None) -> Markup:
    known = {key: metric(key) for key in found}
    low = min((m.ends[0] for m in known.values() if m.ends), default=0.0)
    ends = (low, 1.0)
    rows = [
        (
            tag("span", m.name, tag("small", m.meaning) if m.meaning else None, class_="key"),
            number(found[key].get("value")),
            interval(found[key]),
            plots.bar(found[key], ends, (marks or {}).get(key)) if m.ends and m.ends[1] <= 1 else "",
        )
        for key, m in known.items()
    ]
    if any((marks or {}).get(key) is not None for key in known):
        caption += " The upright line is chance."
    return table(caption, ("", "value", "95 % interval", plots.scale(ends)), rows, kinds="tnnp")


def confused(report: Report) -> Markup:
    """The confusion matrix: rows drawn, shares in a table."""
    counts: Mapping[str, Mapping[str, int]] = report.get("confusion") or {}
    if not counts:
        return Markup("")
    plot = figure(
        plots.confusion("confusion", counts),
        "Confusion matrix in rows. Down: the true class; across: what the model said. The stronger its colour, the "
        "larger a cell's share of the true class.",
    )
    shares = _shares(counts) if len(counts) <= plots.FEW else _mistakes(counts)
    return section("confusion-matrix", "What was taken for what", plot, shares)


def _shares(counts: Mapping[str, Mapping[str, int]]) -> Markup:
    said = list(dict.fromkeys(name for row in counts.values() for name in row))
    rows = [
        (truth, *(_percent(row.get(name, 0), sum(row.values())) for name in said), f"{sum(row.values()):,}")
        for truth, row in counts.items()
    ]
    head = ("true class", *said, "rows")
    return table("The same in percent of the true class.", head, rows, kinds="t" + "n" * (len(said) + 1))


def _mistakes(counts: Mapping[str, Mapping[str, int]]) -> Markup:
    """Of many classes: the share that was right, and what each was most often taken for."""
    rows = []
    for truth, row in counts.items():
        total = sum(row.values())
        wrong = sorted(((n, name) for name, n in row.items() if n and name != truth), key=lambda one: -one[0])
        told = ", ".join(f"{name} {_percent(n, total)}" for n, name in wrong[:3])
        rows.append((truth, f"{total:,}", _percent(row.get(truth, 0), total), told or "–"))
    head = ("true class", "rows", "right", "most often taken for")
    return table("In percent of the true class.", head, rows, kinds="tnnw")


def _percent(part: int, whole: int) -> str:
    """A share in percent.

    >>> _percent(1, 3), _percent(0, 3), _percent(0, 0)
    ('33.3', '·', '·')
    """
    return f"{100 * part / whole:.1f}" if part else "·"


def classes(report: Report) -> Markup:
    """Each class or label."""
    per_class: Mapping[str, Mapping[str, Any]] = report.get("per_class") or {}
    if not per_class:
        return Markup("")
    lead = "recall" if headline(report["task"], report["metrics"])[:1] in (("uar",), ("macro_recall",)) else "f1"
    told = [key for key in ("precision", "recall", "f1", "auc") if any(key in row for row in per_class.values())]
    rows = [
        (name, f"{row.get('support', 0):,}", *(written(row.get(key)) for key in told), _drawn(row.get(lead)))
        for name, row in per_class.items()
    ]
    head = ("", "rows", *(metric(key).name for key in told), joined([f"{metric(lead).name} ", plots.scale(_UNIT)]))
    what = "labels" if report["task"] == "labels" else "classes"
    return section(
        "classes",
        "By label" if what == "labels" else "By class",
        table(
            f"Figures of the {what}; the bars show {metric(lead).name}.",
            head,
            rows,
            kinds="tn" + "n" * len(told) + "p",
        ),
    )


def _drawn(value: Any, mark: float | None = None) -> Markup:
    return plots.bar(value if isinstance(value, Mapping) else {"value": value}, _UNIT, mark)


def curves(report: Report) -> Markup:
    """Reliability and risk-coverage, drawn and in numbers."""
    found = report.get("curves") or {}
    drawn = [_reliability(found.get("reliability")), _risk(found.get("risk_coverage"))]
    shown = [part for part in drawn if part]
    return section("confidence", "Confidence", tag("div", *shown, class_="pair") if shown else None)


def _reliability(bins: Mapping[str, Any] | None) -> Markup | None:
    if not bins or not sum(bins["n"]):
        return None
    columns = (bins["edges"], bins["edges"][1:], bins["n"], bins["confidence"], bins["hits"])
    rows = [
        (f"{low:.2f} to {high:.2f}", f"{n:,}", number(sure), number(hit))
        for low, high, n, sure, hit in zip(*columns, strict=False)
        if n
    ]
    plot = figure(
        plots.reliability("reliability", bins["edges"], bins["n"], bins["confidence"], bins["hits"]),
        "Reliability. On the dashed line predictions are as sure as they are right; below it the model is too "
        "sure. Grey bars: how many predictions a bin holds.",
    )
    head = ("confidence", "predictions", "mean", "right")
    return tag("div", plot, table("Reliability by bin of confidence.", head, rows, kinds="tnnn"))


def _risk(curve: Mapping[str, Any] | None) -> Markup | None:
    if not curve or not curve["coverage"]:
        return None
    area = f" Area under the curve: {written(curve['aurc'])}." if curve.get("aurc") else ""
    plot = figure(
        plots.risk_coverage("risk", curve["coverage"], curve["risk"]),
        f"Risk and coverage. How often the model is wrong where it answers only what it is surest of.{area}",
    )
    points = list(zip(curve["coverage"], curve["risk"], strict=True))
    some = dict.fromkeys(min(points, key=lambda p: abs(p[0] - tenth / 10)) for tenth in range(1, 11))
    rows = [(number(x, 2), number(y)) for x, y in some]
    return tag("div", plot, table("Risk at some coverages.", ("coverage", "risk"), rows, kinds="tn"))


def sets(report: Report) -> Markup:
    """How often the sets of a mood hold the label."""
    found = report.get("sets") or {}
    if "held" not in found:
        return Markup("")
    said = (
        f"For {found['said']:.0%} of the rows the mood names a set of emotions, of {found['names']:.1f} names "
        f"on average. Share of these sets that hold the label: {written(found['held'])}; wanted: 0.900."
    )
    return section("sets", "Sets of emotions", tag("p", said))
