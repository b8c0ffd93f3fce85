"""The sections of the page that show one run, its limits, and how it was made: pure functions of the report."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from assistant.evaluate.figures.groups import INSUFFICIENT
from assistant.evaluate.report import plots
from assistant.evaluate.report.formatting import (
    as_figure,
    format_count,
    format_figure,
    format_interval,
    format_number,
    make_sentence,
)
from assistant.evaluate.report.glossary import choose_headline, get_metric
from assistant.evaluate.report.report import File, Reliability, Report, RiskCoverage
from assistant.evaluate.report.view import Cell, Illustration, Scale, Section, Table

Counts = Mapping[str, Mapping[str, int]]
_UNIT = (0.0, 1.0)
_CLASS_FIGURES = ("precision", "recall", "f1", "auc")
_COSTS = (
    ("rows_per_s", "rows per second", ""),
    ("audio_s", "audio read", " s"),
    ("real_time_factor", "real-time factor", ""),
    ("peak_rss_mb", "peak memory", " MB"),
    ("model_mb", "model", " MB"),
)
_COVERED = 0.97
"""Share of rows that must be answered for a figure to count."""
_CLUSTERS = 10
"""Speakers below which a percentile interval is known to be too narrow."""
_BAD = 0.01
"""Share of bad rows that is worth a sentence."""


def figures(report: Report) -> Section:
    """All figures with their intervals."""
    known = {key: get_metric(key) for key in report.metrics}
    ends = (min((m.ends[0] for m in known.values() if m.ends), default=0.0), 1.0)
    classes = len(report.confusion or ())
    chance = 1 / classes if classes > 1 else None
    marks = {"uar": chance, "macro_recall": chance, "auc": 0.5, "macro_auc": 0.5}
    rows = []
    for key, metric in known.items():
        figure = report.metrics[key]
        bounded = metric.ends and metric.ends[1] <= 1
        bar = Cell(bar=plots.bar(figure, ends, marks.get(key))) if bounded else ""
        name = Cell(metric.name, detail=metric.meaning)
        rows.append((name, format_number(figure.value), format_interval(figure), bar))
    legend = "The vertical line is chance." if any(marks.get(key) is not None for key in known) else ""
    head = ("", "value", "95 % interval", Scale(ends))
    return Section("figures", "All figures", tables=[Table(head, rows, "tnnp", "Figures over all rows.", legend)])


def confusion(report: Report) -> Section:
    """What was predicted for each true class."""
    counts, illustrations = report.confusion or {}, []
    if counts:
        caption = (
            "Confusion matrix in rows. Down: the true class. Across: the predicted class. The stronger the colour, "
            "the larger the share of the true class."
        )
        table = _shares(counts) if len(counts) <= plots.FEW else _mistakes(counts)
        illustrations.append(Illustration(plots.confusion("confusion", counts), caption, table))
    return Section("confusion-matrix", "Confusion matrix", illustrations=illustrations)


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
    rows: list[list[str | Cell]] = []
    for name, row in report.per_class.items():
        shown = [format_figure(getattr(row, key)) for key in keys]
        bar = Cell(bar=plots.bar(as_figure(getattr(row, lead)), _UNIT))
        rows.append([name, f"{row.support or 0:,}", *shown, bar])
    names = [get_metric(key).name for key in keys]
    head: list[str | Scale] = ["", "rows", *names, Scale(_UNIT, get_metric(lead).name)]
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
    rows = [(format_number(x, 2), format_number(y)) for x, y in some]
    return Illustration(
        plots.risk_coverage("risk", curve.coverage, curve.risk),
        f"Risk and coverage. How often the model is wrong if it answers only its most confident rows.{area}",
        Table(("coverage", "risk"), rows, "tn", "Risk by coverage."),
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


def leakage(report: Report) -> Section:
    """What training and test share."""
    shared, rows = report.leakage, []
    if not shared:
        return Section("leakage", "Leakage")
    for what, one in (("speakers", shared.speakers), ("audio", shared.audio), ("text", shared.text)):
        if one:
            first = ", ".join(_pair(name) for name in (one.first or [])[:5])
            rows.append((what, str(one.shared or 0), first or "–"))
    table = Table(("", "shared", "the first of them"), rows, "tnw", "In training and in the test.")
    sides = f"Against {shared.against}" if shared.against else "Between the folds"
    return Section("leakage", "Leakage", f"{sides}: {shared.verdict}.", tables=[table] if rows else [])


def _pair(names: Any) -> str:
    """One name, or the two names of a pair.

    >>> _pair("anna"), _pair({"ours": "a.wav", "theirs": "b.wav"})
    ('anna', 'a.wav = b.wav')
    """
    parts = names.values() if isinstance(names, Mapping) else names if isinstance(names, list) else [names]
    return " = ".join(map(str, parts))


def limits_and_notes(report: Report) -> Section:
    """What the figures do not show."""
    return Section("limits", "Limits and notes", items=[*list_limits(report), *map(make_sentence, report.notes)])


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


def bad_rows(report: Report) -> Section:
    """Rows that could not be scored, the first of them with the reason."""
    bad, tables = report.bad_rows, []
    if bad and bad.count:
        rows = [(f"{row.line:,}", row.reason) for row in bad.first]
        first = f" The first {len(rows)} are shown." if bad.count > len(rows) else ""
        caption = f"{format_count(bad.count, 'row')} could not be scored.{first}"
        tables.append(Table(("line", "reason"), rows, "nw", caption))
    return Section("bad-rows", "Bad rows", tables=tables)


def cost(report: Report) -> Section:
    """Time and memory: the one section that differs from run to run."""
    rows = [("whole run", f"{report.seconds:,.1f} s")]
    if cost := report.cost:
        for name, words, unit in _COSTS:
            if (value := getattr(cost, name)) is not None:
                rows.append((words, f"{value:,.3g}{unit}" if value < 100 else f"{value:,.0f}{unit}"))
        latency = {key: ms for key, ms in cost.latency_ms.items() if key.startswith("p") and ms is not None}
        rows += [(f"latency of a row, {name}", f"{ms:,.1f} ms") for name, ms in latency.items()]
    cells = [(words, Cell(value, style="varies")) for words, value in rows]
    return Section("cost", "Time and memory", tables=[Table(("", ""), cells, "tn", "On the machine named below.")])


def how_made(report: Report) -> Section:
    """All that is needed to make it again."""
    caption = "Two runs of this command on this machine give the same figures."
    table = Table(("", ""), list(_list_origins(report)), "tw", caption)
    return Section("made", "How it was made", code=shlex.join(report.provenance.command), tables=[table])


def _list_origins(report: Report) -> Iterator[tuple[str, str]]:
    made, model = report.provenance, report.model
    if made.data.name:
        yield "data", describe_file(made.data)
    if made.label_map:
        yield "label map", describe_file(made.label_map)
    hashes = model.sha256 if isinstance(model.sha256, dict) else {model.name: model.sha256}
    yield from (("model", describe_file(File(name, sha256))) for name, sha256 in hashes.items())
    if model.stem and isinstance(model.stem.sha256, str):
        yield "stem", describe_file(File(model.stem.name, model.stem.sha256))
    if model.licence:
        yield "licence of the model", model.licence
    if made.attune:
        yield "seed", str(made.seed)
        yield "versions", list_versions(report)
        yield "machine", describe_machine(report)
    for name, value in report.options.items():
        if name != "label_map" and value not in (None, "", [], {}, False):
            yield f"option {name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def describe_file(file: File) -> str:
    """A file by its name and hash."""
    return f"{file.name}, SHA-256 {file.sha256 or 'unknown'}"


def list_versions(report: Report) -> str:
    """The versions of what computed the figures."""
    made = report.provenance
    packages = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    return f"attune {made.attune}, Python {made.python}, {packages}"


def describe_machine(report: Report) -> str:
    """The machine that the run was on."""
    made = report.provenance
    return f"{made.machine.cpu}, {format_count(made.machine.cores, 'core')}, {made.platform}"
