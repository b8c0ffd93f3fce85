"""`report.html`, a self-contained page, and `card.md`, a model card to publish: made from `report.json` alone."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from assistant.evaluate.report import comparisons, sections
from assistant.evaluate.report.formatting import format_count, format_interval, format_number
from assistant.evaluate.report.glossary import choose_headline, get_metric
from assistant.evaluate.report.report import ModelIdentity, Report
from assistant.evaluate.report.view import Section, escape_markdown, make_code_block, make_table, render_page

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
    "voice": ("speaker",), "mood": ("session",), "situnes": ("person", "people"),
}  # fmt: skip
"""What a cluster is called, singular and plural, by task or modality."""
_PAGE = (
    sections.figures, comparisons.compared, sections.emotion_sets, sections.confusion, sections.classes,
    sections.confidence, comparisons.groups, comparisons.conditions, comparisons.folds, sections.leakage,
    sections.limits_and_notes, sections.bad_rows, sections.cost, sections.how_made,
)  # fmt: skip
"""The sections of the page, in order."""
_CARD = (sections.classes, comparisons.groups, comparisons.conditions, comparisons.folds)


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
        [make_section(report) for make_section in _PAGE],
        title=make_title(report),
        when=report.provenance.when,
        abstract=write_abstract(report),
        facts=list(_list_facts(report)),
    )


def _list_facts(report: Report) -> Iterator[_Fact]:
    for key in choose_headline(report.task, report.metrics)[:3]:
        figure = report.metrics[key]
        inside = format_interval(figure, " – ")
        detail = f"95 % interval {inside}" if inside else "no interval"
        yield _Fact(get_metric(key).name, format_number(figure.value), detail)
    coverage = report.metrics["coverage"].value if "coverage" in report.metrics else None
    yield _Fact("Rows", f"{report.n:,}", "" if coverage is None else f"{coverage:.1%} answered")


def model_card(report: Report) -> str:
    """The card. Only the line `Measured on` differs between two runs of one command."""
    return "\n\n".join(part for part in _make_parts(report) if part) + "\n"


def _make_parts(report: Report) -> Iterator[str]:
    made = report.provenance
    yield f"# {escape_markdown(make_title(report))}"
    yield f"Measured on {escape_markdown(made.when[:10])}." if made.when else ""
    yield escape_markdown(write_abstract(report))
    yield "## The model"
    yield escape_markdown(report.model.summary or "")
    yield _make_list(f"{what}: {text}" for what, text in _describe_model(report.model))
    yield _make_section(sections.figures(report))
    yield "Intervals are 95 % percentile bootstrap over whole clusters."
    yield from (_make_section(section) for make in _CARD if not (section := make(report)).empty)
    if report.leakage:
        yield f"## Leakage\n\n{escape_markdown(report.leakage.verdict)}"
    yield "## Limits"
    yield _make_list(sections.limits_and_notes(report).items)
    yield "## How to make it again"
    yield make_code_block(shlex.join(made.command)) if made.command else ""
    yield _make_list(_describe_run(report))


def _make_section(section: Section) -> str:
    parts = [f"## {section.title}"]
    for table in section.tables:
        parts += [escape_markdown(table.caption), make_table(table)]
    return "\n\n".join(part for part in parts if part)


def _make_list(items: Iterable[str]) -> str:
    return "\n".join(f"- {escape_markdown(item)}" for item in items)


def _describe_model(model: ModelIdentity) -> Iterator[tuple[str, str]]:
    yield "name", model.name + (f", version {model.version}" if model.version else "")
    yield from (model.sha256 if isinstance(model.sha256, dict) else {"SHA-256": model.sha256}).items()
    if model.stem:
        yield "stem", f"{model.stem.name}, SHA-256 {model.stem.sha256}"
    if model.licence:
        yield "licence", model.licence
    if model.labels:
        yield "labels", ", ".join(model.labels)
    if model.training_data:
        corpora = (f"{one.name or ''}{f' ({one.licence})' if one.licence else ''}" for one in model.training_data)
        yield "training data", ", ".join(corpora)


def _describe_run(report: Report) -> Iterator[str]:
    made = report.provenance
    if made.data.name:
        yield f"data: {sections.describe_file(made.data)}"
    if made.label_map:
        yield f"label map: {sections.describe_file(made.label_map)}"
    if made.attune:
        yield sections.list_versions(report)
        yield f"{sections.describe_machine(report)}; seed {made.seed}"


def make_title(report: Report) -> str:
    """What was measured, with what, on what, as in "Stress in text: text on notes.csv"."""
    modality = report.options.get("modality")
    where = f" in {'speech' if modality == 'voice' else 'text'}" if modality in ("voice", "text") else ""
    return f"{_TASKS[report.task]}{where}: {report.model.name} on {_name_data(report)}"


def _name_data(report: Report) -> str:
    return str(report.provenance.data.name or report.options.get("data", "your data"))


def write_abstract(report: Report) -> str:
    """The report in a few sentences, with the figure that it leads with."""
    return " ".join(_write_sentences(report))


def _write_sentences(report: Report) -> Iterator[str]:
    clusters, keys = report.clusters or 0, choose_headline(report.task, report.metrics)
    kind = _CLUSTERS.get(report.task) or _CLUSTERS.get(report.options.get("modality", "")) or ("cluster",)
    of = f" of {format_count(clusters, *kind)}" if 0 < clusters < report.n else ""
    yield f"The model {report.model.name} read {format_count(report.n, 'row')}{of} in {_name_data(report)}."
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
