"""The sections of the page that set figures side by side: groups, conditions, folds, other readings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from assistant.evaluate.report import plots
from assistant.evaluate.report.formatting import as_figure, format_figure, format_interval, format_number, format_p
from assistant.evaluate.report.glossary import choose_headline, get_metric
from assistant.evaluate.report.report import ConditionResult, Gap, Number, Report
from assistant.evaluate.report.view import Cell, Ends, Illustration, Scale, Section, Table

_FEWEST_LEVELS = 3
"""Levels of one disturbance from which a curve says more than a table."""
_OVER_ALL = "The vertical line is the figure over all rows."
_UNITS = {"noise": "signal to noise, dB", "opus": "Opus, kbit/s", "clip": "clipped, %", "gain": "gain, dB"}


@dataclass(frozen=True, slots=True)
class _Lead:
    """The figure that a report leads with: the one that its parts are compared by."""

    key: str
    name: str
    ends: Ends
    value: float | None
    """Over all rows."""

    @classmethod
    def of(cls, report: Report) -> _Lead:
        key = next(iter(choose_headline(report.task, report.metrics)), "")
        ends = get_metric(key).ends or (0.0, 1.0)
        value = report.metrics[key].value if key in report.metrics else None
        return cls(key, get_metric(key).name, (min(0.0, ends[0]), min(1.0, ends[1])), value)

    @property
    def head(self) -> tuple[str | Scale, ...]:
        return self.name, "95 % interval", Scale(self.ends)

    def cells(self, figures: Mapping[str, Number], *, mark: bool = True) -> tuple[str | Cell, ...]:
        """Value, interval and bar; columns of kinds `nnp`."""
        figure = as_figure(figures.get(self.key))
        bar = plots.bar(figure, self.ends, self.value if mark else None)
        return format_number(figure.value), format_interval(figure), Cell(bar=bar)


def groups(report: Report) -> Section:
    """Figures by group, and the gaps between groups."""
    lead = _Lead.of(report)
    rows: list[tuple[str | Cell, ...]] = []
    for name, group in report.groups.items():
        note = Cell(group.note or "", style="quiet")
        cells = lead.cells(group.metrics) if group.metrics else ("–", "", note)
        rows.append((name, group.column or "", f"{group.n:,}", *cells))
    head = ("group", "column", "rows", *lead.head)
    tables = [Table(head, rows, "ttnnnp", f"{lead.name} by group.", _OVER_ALL)] if rows else []
    return Section("groups", "By group", tables=tables + ([_list_gaps(report.gaps)] if report.gaps else []))


def _list_gaps(gaps: Sequence[Gap]) -> Table:
    rows = []
    for gap in gaps:
        size = as_figure(gap.gap)
        what = (gap.column, get_metric(gap.metric).name, gap.best or "–", gap.worst or "–")
        verdict = Cell(gap.verdict, style="flag" if gap.verdict == "gap" else "quiet")
        rows.append((*what, format_number(size.value), format_interval(size), format_p(gap.p), verdict))
    head = ("column", "figure", "best", "worst", "gap", "95 % interval", "p", "verdict")
    caption = (
        "Gaps: the best group minus the worst. p is from a permutation test, corrected for the number of "
        "comparisons (Holm)."
    )
    return Table(head, rows, "ttttnnnt", caption)


def conditions(report: Report) -> Section:
    """What noise, telephones and rooms cost."""
    results, lead = report.conditions or [], _Lead.of(report)
    abstained = f"{sum(report.abstained.values()):,}"
    rows = [("clean", f"{report.n:,}", abstained, *lead.cells(report.metrics, mark=False), "")]
    for one in results:
        abstained = f"{one.abstained if isinstance(one.abstained, int) else sum(one.abstained.values()):,}"
        loss = format_figure((one.loss or {}).get(lead.key))
        rows.append((one.name.replace("_", " "), f"{one.n:,}", abstained, *lead.cells(one.metrics), loss))
    head = ("condition", "rows", "abstained", *lead.head, "loss")
    caption = f"{lead.name} when the same rows are disturbed. The loss is paired, row by row."
    table = Table(head, rows, "tnnnnpn", caption, "The vertical line is the figure on clean input.")
    curves = list(_level_curves(results, lead))
    return Section("conditions", "Under other conditions", illustrations=curves, tables=[table] if results else [])


def _level_curves(results: Sequence[ConditionResult], lead: _Lead) -> Iterator[Illustration]:
    series: dict[tuple[str, str], list[ConditionResult]] = {}
    for one in results:
        if one.level is not None and as_figure(one.metrics.get(lead.key)).value is not None:
            series.setdefault((one.kind, one.name.rpartition("_")[0]), []).append(one)
    for at, ((kind, name), some) in enumerate(series.items()):
        if len(some) >= _FEWEST_LEVELS and lead.value is not None:
            levels = [(one.level or 0.0, one.metrics[lead.key]) for one in some]
            plot = plots.levels(f"levels-{at}", _UNITS.get(kind, kind), lead.name, levels, lead.value)
            yield Illustration(plot, f"{lead.name} by level of {name.replace('_', ' ')}. Dashed: clean input.")


def folds(report: Report) -> Section:
    """Each fold, and their mean."""
    folds, lead = report.folds, _Lead.of(report)
    if not folds or not folds.of:
        return Section("folds", "By fold")
    beside = {
        name: ([getattr(fold, member) for fold in folds.of], getattr(folds, f"mean_{member}"))
        for name, member in (("without baseline", "without_baseline"), ("floor", "floor"))
        if all(getattr(fold, member) for fold in folds.of)
    }

    def other(figures: Mapping[str, Number]) -> str:
        return format_number(as_figure(figures.get(lead.key)).value)

    rows = []
    for at, fold in enumerate(folds.of):
        others = (other(each[at]) for each, _ in beside.values())
        rows.append((str(fold.held_out), f"{fold.n:,}", *lead.cells(fold.metrics), *others))
    mean = folds.mean or {}
    if lead.key in mean:
        others = (other(of_all or {}) for _, of_all in beside.values())
        rows.append(("mean of the folds", "", *lead.cells(mean), *others))
    caption = (
        f"{folds.k or len(folds.of)} folds by {folds.protocol or 'speakers'}. Each fold is tested on what its "
        "training left out."
    )
    head, kinds = ("held out", "rows", *lead.head, *beside), "tnnnp" + "n" * len(beside)
    table = Table(head, rows, kinds, caption, _OVER_ALL, foot=len(rows) - len(folds.of))
    return Section("folds", "By fold", tables=[table])


def compared(report: Report) -> Section:
    """The same rows, read in other ways."""
    lead = _Lead.of(report)
    rows = [(name.replace("_", " "), *lead.cells(figures)) for name, figures in (report.compared or {}).items()]
    caption = f"{lead.name} of the same rows, read in other ways."
    table = Table(("", *lead.head), rows, "tnnp", caption, "The vertical line is the figure above.")
    return Section("compared", "Read in other ways", tables=[table] if rows else [])
