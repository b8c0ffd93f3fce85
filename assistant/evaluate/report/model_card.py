"""`card.md`: what was measured of a model, as a page of Markdown to publish with the model or in an appendix."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from assistant.evaluate.report import comparisons, sections
from assistant.evaluate.report.formatting import make_sentence
from assistant.evaluate.report.limitations import list_limits
from assistant.evaluate.report.markdown import escape_markdown, make_code_block, make_table
from assistant.evaluate.report.page import make_title, write_abstract
from assistant.evaluate.report.report import ModelIdentity, Report
from assistant.evaluate.report.run_details import file_text, machine, versions
from assistant.evaluate.report.view import Section


def model_card(report: Report) -> str:
    """The card. Only the line `Measured on` differs between two runs of one command."""
    return "\n\n".join(part for part in _parts(report) if part) + "\n"


def _parts(report: Report) -> Iterator[str]:
    made = report.provenance
    yield f"# {escape_markdown(make_title(report))}"
    yield f"Measured on {escape_markdown(made.when[:10])}." if made.when else ""
    yield escape_markdown(write_abstract(report))
    yield "## The model"
    yield escape_markdown(report.model.summary or "")
    yield _list(f"{what}: {text}" for what, text in _facts(report.model))
    yield _section(sections.figures(report))
    yield "Intervals are 95 % percentile bootstrap over whole clusters."
    for section in (
        sections.classes(report),
        comparisons.groups(report),
        comparisons.conditions(report),
        comparisons.folds(report),
    ):
        yield "" if section.empty else _section(section)
    if report.leakage:
        yield f"## Leakage\n\n{escape_markdown(report.leakage.verdict)}"
    yield "## Limits"
    yield _list([*list_limits(report), *map(make_sentence, report.notes)])
    yield "## How to make it again"
    yield make_code_block(shlex.join(made.command)) if made.command else ""
    yield _list(_made(report))


def _section(section: Section) -> str:
    parts = [f"## {section.title}"]
    for table in section.tables:
        parts += [escape_markdown(table.caption), make_table(table)]
    return "\n\n".join(part for part in parts if part)


def _list(items: Iterable[str]) -> str:
    return "\n".join(f"- {escape_markdown(item)}" for item in items)


def _facts(model: ModelIdentity) -> Iterator[tuple[str, str]]:
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


def _made(report: Report) -> Iterator[str]:
    made = report.provenance
    if made.data.name:
        yield f"data: {file_text(made.data)}"
    if made.label_map:
        yield f"label map: {file_text(made.label_map)}"
    if made.attune:
        yield versions(report)
        yield f"{machine(report)}; seed {made.seed}"
