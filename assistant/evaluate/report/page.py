"""`report.html`: a report as one self-contained page, made from what `report.json` holds and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from assistant.evaluate.report import comparisons, run_details, sections
from assistant.evaluate.report.formatting import format_count, format_interval, format_number
from assistant.evaluate.report.glossary import choose_headline, get_metric
from assistant.evaluate.report.report import Report
from assistant.evaluate.report.view import render_page

_TASKS: Mapping[str, str] = {
    "labels": "Emotion labels",
    "emotion": "Emotions",
    "sentiment": "Sentiment",
    "stress": "Stress",
    "affect": "Valence and arousal",
    "mood": "Mood over sessions",
    "situnes": "Music for the moment",
    "logs": "What another policy would have earned",
}
_CLUSTERS: Mapping[str, tuple[str, ...]] = {
    "voice": ("speaker",),
    "mood": ("session",),
    "situnes": ("person", "people"),
}
"""What a cluster is called, singular and plural, by task or modality."""


@dataclass(frozen=True, slots=True)
class _Fact:
    """A figure at the head of the page."""

    name: str
    value: str
    detail: str = ""


def report_page(report: Report) -> str:
    """The page. What varies between two runs of one command is in elements of class `varies`."""
    return render_page(
        "report.html.jinja",
        [
            sections.figures(report),
            comparisons.compared(report),
            sections.emotion_sets(report),
            sections.confusion(report),
            sections.classes(report),
            sections.confidence(report),
            comparisons.groups(report),
            comparisons.conditions(report),
            comparisons.folds(report),
            run_details.leakage(report),
            run_details.limits_and_notes(report),
            run_details.bad_rows(report),
            run_details.cost(report),
            run_details.how_made(report),
        ],
        title=make_title(report),
        when=report.provenance.when,
        abstract=write_abstract(report),
        facts=list(_facts(report)),
    )


def _facts(report: Report) -> Iterator[_Fact]:
    for key in choose_headline(report.task, report.metrics)[:3]:
        figure = report.metrics[key]
        inside = format_interval(figure, " – ")
        detail = f"95 % interval {inside}" if inside else "no interval"
        yield _Fact(get_metric(key).name, format_number(figure.value), detail)
    coverage = report.metrics["coverage"].value if "coverage" in report.metrics else None
    yield _Fact("Rows", f"{report.n:,}", "" if coverage is None else f"{coverage:.1%} answered")


def make_title(report: Report) -> str:
    """What was measured, with what, on what, as in "Stress in text: text on notes.csv"."""
    modality = report.options.get("modality")
    where = f" in {'speech' if modality == 'voice' else 'text'}" if modality in ("voice", "text") else ""
    return f"{_TASKS[report.task]}{where}: {report.model.name} on {_data(report)}"


def _data(report: Report) -> str:
    return str(report.provenance.data.name or report.options.get("data", "your data"))


def write_abstract(report: Report) -> str:
    """The report in a few sentences, with the figure that it leads with."""
    return " ".join(_sentences(report))


def _sentences(report: Report) -> Iterator[str]:
    clusters, keys = report.clusters or 0, choose_headline(report.task, report.metrics)
    kind = _CLUSTERS.get(report.task) or _CLUSTERS.get(report.options.get("modality", "")) or ("cluster",)
    of = f" of {format_count(clusters, *kind)}" if 0 < clusters < report.n else ""
    yield f"The model {report.model.name} read {format_count(report.n, 'row')}{of} in {_data(report)}."
    for key in keys:
        figure, known = report.metrics[key], get_metric(key)
        if figure.value is None:
            yield f"{known.name} is undefined here."
            continue
        meaning = f", {known.meaning}," if known.meaning else ""
        inside = f"95 % interval {format_interval(figure)}" if format_interval(figure) else "without an interval"
        yield f"{known.name}{meaning} is {format_number(figure.value)} ({inside})."
    classes = len(report.confusion or ())
    if classes > 1 and keys[:1] == ("uar",):
        yield f"Chance with {classes} classes is {format_number(1 / classes)}."
    if abstained := sum(report.abstained.values()):
        yield f"It abstained on {format_count(abstained, 'row')} ({abstained / max(1, report.n):.1%})."
