"""The sections of `report.html` that set figures side by side: groups, conditions, folds, other readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from assistant.evaluate.report import plots
from assistant.evaluate.report.glossary import headline, interval, metric, number, written
from assistant.evaluate.report.html import Markup, Part, figure, section, table, tag

Report = Mapping[str, Any]
Figures = Mapping[str, Mapping[str, float | None]]
_UNIT = (0.0, 1.0)
_LEVELS = 3
"""Levels of one disturbance from which a curve says more than a table."""
_UNITS = {"noise": "signal to noise, dB", "opus": "Opus, kbit/s", "clip": "clipped, %", "gain": "gain, dB"}


def _one(key: str, found: Figures, ends: tuple[float, float], mark: float | None) -> list[Part]:
    told = found.get(key) or {}
    return [number(told.get("value")), interval(told), plots.bar(told, ends, mark)]


def _lead(report: Report) -> tuple[str, tuple[float, float], float | None]:
    """The figure that tables compare, its ends, and its value over all rows."""
    key = next(iter(headline(report["task"], report["metrics"])), "")
    value = report["metrics"].get(key, {}).get("value")
    ends = metric(key).ends or _UNIT
    return key, (min(0.0, ends[0]), min(1.0, ends[1])), value


def groups(report: Report) -> Markup:
    """Figures by group, and the gaps between groups."""
    found: Mapping[str, Mapping[str, Any]] = report.get("groups") or {}
    key, ends, value = _lead(report)
    rows: list[Sequence[Part]] = []
    for name, group in found.items():
        if group.get("metrics"):
            rows.append(
                (name, group.get("column", ""), f"{group['n']:,}", *_one(key, group["metrics"], ends, value))
            )
        else:
            rows.append(
                (
                    name,
                    group.get("column", ""),
                    f"{group['n']:,}",
                    "–",
                    "",
                    tag("i", group.get("note", ""), class_="quiet"),
                )
            )
    head = ("group", "column", "rows", metric(key).name, "95 % interval", plots.scale(ends))
    parts: list[Part] = []
    if rows:
        parts.append(
            table(
                f"{metric(key).name} by group. The upright line is the figure over all rows.",
                head,
                rows,
                kinds="ttnnnp",
            )
        )
    if gaps := report.get("gaps"):
        parts.append(_gaps(gaps))
    return section("groups", "Between groups", *parts)


def _gaps(gaps: Sequence[Mapping[str, Any]]) -> Markup:
    rows = [
        (
            gap["column"],
            metric(gap["metric"]).name,
            gap.get("best") or "–",
            gap.get("worst") or "–",
            number((gap.get("gap") or {}).get("value")),
            interval(gap.get("gap")),
            _p(gap.get("p")),
            tag("span", gap["verdict"], class_="flag" if gap["verdict"] == "gap" else "quiet"),
        )
        for gap in gaps
    ]
    head = ("column", "figure", "best", "worst", "gap", "95 % interval", "p", "verdict")
    return table(
        "Gaps: the best group less the worst. p is of a permutation test, "
        "corrected for how many are compared (Holm).",
        head,
        rows,
        kinds="ttttnnnt",
    )


def _p(value: float | None) -> str:
    """A p value.

    >>> _p(0.0004), _p(0.03), _p(None)
    ('< 0.001', '0.030', '–')
    """
    return "< 0.001" if value is not None and value < 0.001 else number(value)


def conditions(report: Report) -> Markup:
    """What noise, telephones and rooms cost."""
    found: Sequence[Mapping[str, Any]] = report.get("conditions") or ()
    if not found:
        return Markup("")
    key, ends, value = _lead(report)
    head = ("condition", "rows", "abstained", metric(key).name, "95 % interval", plots.scale(ends), "loss")
    clean = (
        "clean",
        f"{report['n']:,}",
        f"{_total(report['abstained']):,}",
        *_one(key, report["metrics"], ends, None),
        "",
    )
    rows = [
        (
            one["name"].replace("_", " "),
            f"{one['n']:,}",
            f"{_total(one.get('abstained')):,}",
            *_one(key, one["metrics"], ends, value),
            written((one.get("loss") or {}).get(key)),
        )
        for one in found
    ]
    caption = (
        f"{metric(key).name} when the same rows are disturbed. The upright line is the undisturbed figure; the "
        "loss is paired, row by row."
    )
    return section(
        "conditions",
        "Under other conditions",
        *_level_plots(found, key, value),
        table(caption, head, [clean, *rows], kinds="tnnnnpn"),
    )


def _total(abstained: Any) -> int:
    return sum(abstained.values()) if isinstance(abstained, Mapping) else int(abstained or 0)


def _level_plots(found: Sequence[Mapping[str, Any]], key: str, clean: float | None) -> Iterator[Markup]:
    series = dict.fromkeys((one["kind"], one["name"].rpartition("_")[0]) for one in found)
    drawn = []
    for at, (kind, name) in enumerate(series):
        levels = [
            (float(one["level"]), one["metrics"][key])
            for one in found
            if (one["kind"], one["name"].rpartition("_")[0]) == (kind, name)
            and one.get("level") is not None
            and one["metrics"].get(key, {}).get("value") is not None
        ]
        if len(levels) >= _LEVELS and clean is not None:
            plot = plots.levels(f"levels-{at}", _UNITS.get(kind, kind), metric(key).name, levels, clean)
            drawn.append(
                figure(plot, f"{metric(key).name} over the level of {name.replace('_', ' ')}; dashed: undisturbed.")
            )
    if drawn:
        yield tag("div", *drawn, class_="pair")


def folds(report: Report) -> Markup:
    """Each fold, and their mean."""
    found = report.get("folds") or {}
    if not found:
        return Markup("")
    key, ends, value = _lead(report)
    beside = [name for name in ("without_baseline", "floor") if all(name in fold for fold in found["of"])]

    def others(of: Mapping[str, Any], prefix: str = "") -> list[Part]:
        return [number(_as_figures(of.get(prefix + name) or {}).get(key, {}).get("value")) for name in beside]

    rows: list[Sequence[Part]] = [
        (
            str(fold["held_out"]), f"{fold['n']:,}", *_one(key, _as_figures(fold["metrics"]), ends, value),
            *others(fold),
        )
        for fold in found["of"]
    ]  # fmt: skip
    mean = _as_figures(found.get("mean") or {})
    whole = ("mean of the folds", "", *_one(key, mean, ends, value), *others(found, "mean_"))
    last: list[Sequence[Part]] = [whole] if key in mean else []
    head = (
        "held out", "rows", metric(key).name, "95 % interval", plots.scale(ends),
        *(name.replace("_", " ") for name in beside),
    )  # fmt: skip
    what = (
        f"{found.get('k', len(found['of']))} folds by {found.get('protocol', 'speakers')}: what is held out is not "
        "in training. The upright line is the figure over all rows."
    )
    return section(
        "folds", "By fold", table(what, head, [*rows, *last], kinds="tnnnp" + "n" * len(beside), foot=len(last))
    )


def _as_figures(found: Mapping[str, Any]) -> Figures:
    return {key: value if isinstance(value, Mapping) else {"value": value} for key, value in found.items()}


def compared(report: Report) -> Markup:
    """The same rows, read in other ways."""
    found: Mapping[str, Figures] = report.get("compared") or {}
    key, ends, value = _lead(report)
    rows = [(name.replace("_", " "), *_one(key, _as_figures(other), ends, value)) for name, other in found.items()]
    if not rows:
        return Markup("")
    head = ("", metric(key).name, "95 % interval", plots.scale(ends))
    caption = f"{metric(key).name} of the same rows, read in other ways. The upright line is the figure above."
    return section("compared", "Read in other ways", table(caption, head, rows, kinds="tnnp"))
