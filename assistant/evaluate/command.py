"""`assistant evaluate voice|text|mood|recommend`: how good the served models are on your own files."""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from msgspec import UNSET

from assistant.config import shipped_models
from assistant.emotion import EMOTIONS, SENTIMENTS
from assistant.errors import Invalid, NotFound
from assistant.evaluate import mood
from assistant.evaluate.command_line import add_bootstrap, add_out, make_options, parse_weight, run_to_end
from assistant.evaluate.figures.tasks import AFFECTS, Sheet, list_label_names
from assistant.evaluate.fit import command as fitting
from assistant.evaluate.fit.model_folder import find_own_training
from assistant.evaluate.leakage.check import find_leakage, read_against
from assistant.evaluate.model_run import JOURNAL, ModelRun
from assistant.evaluate.options import EPILOG, MORE, SAME_FIGURES, RunOptions, add_arguments
from assistant.evaluate.ranking import logs, recommend
from assistant.evaluate.report import compare, files
from assistant.evaluate.report.conversion import get_members, make_schema, to_struct
from assistant.evaluate.report.findings import (
    compute_findings,
    describe_classes,
    list_extra_columns,
    list_group_columns,
    make_sheet,
)
from assistant.evaluate.report.predictions import make_lines
from assistant.evaluate.report.provenance import describe_model, describe_options, describe_run
from assistant.evaluate.report.report import Cost, Report
from assistant.evaluate.report.robustness import measure_conditions
from assistant.evaluate.run.conditions import parse_conditions, prepare_condition
from assistant.evaluate.run.foreign_card import adapt_card, is_foreign, list_answerable
from assistant.evaluate.run.foreign_card import list_foreign_notes as foreign_notes
from assistant.evaluate.run.journal import Rows
from assistant.evaluate.tables.manifest import (
    BadRow,
    Manifest,
    describe_table,
    describe_unmapped,
    guess_scale,
    read_label_map,
    read_manifest,
    refuse_bad_rows,
    rescale_rows,
)
from assistant.inference.card import Card, read_card
from assistant.inference.model import SessionFactory, onnx_session

__all__ = ["JOURNAL", "RunOptions", "configure", "evaluate", "run"]

_SCHEMA_EPILOG = """\
The schema is JSON Schema, draft 2020-12. Any validator checks a report against it:

  assistant evaluate schema > report.schema.json
  python -m jsonschema -i results/report.json report.schema.json
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands `voice`, `text`, `mood` and `recommend`, and `run` as what they do."""
    commands = parser.add_subparsers(
        dest="modality", required=True, metavar="voice|text|mood|recommend|compare|schema"
    )

    def add(name: str, short: str, long: str, epilog: str) -> argparse.ArgumentParser:
        style = argparse.RawDescriptionHelpFormatter
        return commands.add_parser(name, help=short, description=long, epilog=epilog, formatter_class=style)

    sub = add(
        "recommend",
        "measure recommendations with and without the situation, or another policy from a log",
        "Fit and measure recommendations with and without the situation, or estimate from a log what another "
        "policy would have earned; write a report and predictions.csv.",
        EPILOG["recommend"] + logs.EPILOG,
    )
    sub.add_argument("--data", type=Path, required=True, metavar="PATH", help="folder of the data set, or the log")
    sub.add_argument("--task", choices=("situnes", "logs"), default="situnes", help="default: situnes")
    sub.add_argument("--clip", type=parse_weight, default=math.inf, metavar="WEIGHT", help="logs: largest weight")
    add_out(sub)
    add_bootstrap(sub)
    sub.set_defaults(run=_run_recommend)
    modalities: tuple[tuple[Literal["voice", "text"], str], ...] = (("voice", "clips of speech"), ("text", "texts"))
    for modality, what in modalities:
        sub = add(
            modality,
            f"measure a {modality} model on labelled {what}",
            f"Run the served {modality} model over your own labelled {what}; write a report (JSON, HTML, a model "
            "card) and predictions.csv.",
            EPILOG[modality] + MORE,
        )
        add_arguments(sub, modality)
        sub.set_defaults(run=run)
    compare.configure(
        add(
            "compare",
            "rank several reports, with tests on the rows that all models scored",
            "Compare models on the rows that all of them scored; print a leaderboard, and write it as Markdown, "
            "LaTeX and HTML.",
            compare.EPILOG,
        )
    )
    short = "print the JSON schema of report.json"
    add("schema", short, f"{short[0].upper() + short[1:]}.", _SCHEMA_EPILOG).set_defaults(run=_print_schema)
    mood.configure(
        add(
            "mood",
            "measure the fused mood on labelled sessions",
            "Run the served readers and the fusion over your own sessions, turn by turn; write a report (JSON, "
            "HTML, a model card) and predictions.csv.",
            mood.EPILOG + MORE,
        )
    )


def run(args: argparse.Namespace, *, session: SessionFactory = onnx_session) -> int:
    """Run what `configure` parsed. 0 when measured, 1 when no row could be scored, 2 when it couldn't start."""
    options = make_options(RunOptions, args)

    def stopped() -> str:
        kept = (options.out / JOURNAL).is_file()
        return "the same command with --resume continues from here" if kept else "nothing was written"

    return run_to_end(lambda: evaluate(options, session=session), stopped=stopped)


def _run_recommend(args: argparse.Namespace) -> int:
    if args.task == "logs":
        return run_to_end(lambda: logs.evaluate(make_options(logs.LogsOptions, args)))
    return run_to_end(lambda: recommend.evaluate(make_options(recommend.RecommendOptions, args)))


def _print_schema(_: argparse.Namespace) -> int:
    print(json.dumps(make_schema(), indent=2))
    return 0


def evaluate(options: RunOptions, *, session: SessionFactory = onnx_session) -> int:
    """Measure, write the report and print it. Raises `AssistantError` for what keeps it from starting."""
    started = time.monotonic()
    if not options.data.exists():
        raise NotFound(f"there is no file {options.data}", code="file_missing")
    fitting.check_options(options)
    if options.fit:
        return fitting.evaluate(options, session=session)
    folder = options.model or shipped_models() / options.modality
    card = adapt_card(read_card(folder))
    names = list_answerable(card, options.task, list_label_names(options.task, options.modality, card))
    if options.baseline != "none" and is_foreign(card):
        raise Invalid(f"{card.name} gives no features that a baseline can learn from", code="baseline_unsupported")
    disturbances = [prepare_condition(one, options.seed) for one in parse_conditions(options.conditions)]
    table = _read_table(options, names)
    trained = []
    if options.against:
        trained = read_against(options.against, options.modality, dict(options.columns), form=options.form)
    files.prepare_folder(options.out, rows=len(table.rows), columns=max(3, len(names)))
    model = ModelRun.open(options, folder, card, session)
    outcomes, unread = model.read(table.rows)
    bad = [*table.bad, *unread]
    files.report_bad_rows(options.out, options.data, bad)
    if not outcomes:
        return files.print_nothing_scored(options.data)
    outcomes = model.with_baseline(outcomes)
    sheet = make_sheet(options.task, card, outcomes)
    cost = model.cost(outcomes)
    found = compute_findings(sheet, outcomes, options.scoring, columns=list_group_columns(options.groups))
    shared = find_leakage(table.rows, trained, against=options.against.name) if options.against else None
    hear = model.hearing(table.rows)
    losses = measure_conditions(disturbances, sheet, outcomes, hear, card, options.scoring)
    report = Report(
        **get_members(found),
        provenance=describe_run(options.data, seed=options.seed, label_map=options.label_map),
        leakage=UNSET if shared is None else shared,
        conditions=losses or UNSET,
        model=describe_model(card, stem=None if model.stem is None else model.stem.card),
        options=describe_options(options, without=SAME_FIGURES, label_map=table.label_map, scale=table.scale),
        bad_rows=files.list_bad_rows(bad),
        left_out=table.manifest.left_out,
        notes=_notes(options, card, sheet, table) + describe_table(table.manifest),
        cost=to_struct(cost, Cost),
        seconds=round(time.monotonic() - started, 3),
    )
    files.write_and_print(report, make_lines(sheet, outcomes, with_text=options.with_text), options.out)
    return 0


@dataclass(frozen=True, slots=True)
class _Table:
    """The rows to score, and what was found while reading them."""

    rows: Rows
    bad: list[BadRow]
    manifest: Manifest
    label_map: dict[str, str | None]
    scale: tuple[float, float] | None
    """Ends of the affect labels, which the rows have moved to -1 to 1."""


def _read_table(options: RunOptions, names: tuple[str, ...]) -> _Table:
    """Raises `Invalid` for bad rows where the run is strict, and what `read_manifest` raises."""
    label_map = read_label_map(options.label_map, names)
    rows = Rows()
    manifest = read_manifest(
        options.data,
        options.modality,
        options.task,
        allowed=names,
        label_map=label_map,
        need_speaker=options.baseline != "none",
        columns=dict(options.columns),
        table=options.table,
        form=options.form,
        strict=options.strict,
        more=list_extra_columns(options.groups),
        keep=rows.append,
    )
    bad, scale = list(manifest.bad), options.scale
    if options.task == "affect" and rows:
        scale = scale or guess_scale(rows)
        read, rows = rows, Rows()
        for row in read:
            inside, outside = rescale_rows([row], scale)
            for moved in inside:
                rows.append(moved)
            bad += outside
    if options.strict:
        refuse_bad_rows(options.data, bad)
    for note in manifest.notes:
        print(note, file=sys.stderr)
    if manifest.unmapped:
        print(describe_unmapped(manifest.unmapped, most=files.SHOWN_BAD), file=sys.stderr)
    return _Table(rows, bad, manifest, dict(label_map), scale)


def _notes(options: RunOptions, card: Card, sheet: Sheet, table: _Table) -> list[str]:
    notes = []
    if options.task in ("emotion", "sentiment"):
        notes.append(describe_classes(sheet))
        if len(sheet.names) < 2:
            notes.append("only one class occurs, so the figures are undefined")
        said = SENTIMENTS if options.task == "sentiment" else EMOTIONS if options.modality == "text" else ()
        if unsaid := [n for n in sheet.names if n not in (*card.labels, *said)]:
            notes.append(f"the model has no label for {', '.join(unsaid)}")
    if options.task == "labels" and (empty := int((sheet.truth.sum(axis=0) == 0).sum())):
        notes.append(f"{empty} of the {len(sheet.names)} labels never occur and count as F1 0 in macro_f1")
    if table.scale is not None and options.task == "affect":
        notes.append(
            f"labels from {table.scale[0]:g} to {table.scale[1]:g} were scaled to -1 to 1; abstentions are left out"
        )
        if unsaid := [n for n in AFFECTS if n in table.manifest.columns and n not in sheet.names]:
            notes.append(f"{', '.join(unsaid)} was left out: a {options.modality} model does not give it")
    return notes + foreign_notes(card, options.task) + find_own_training(card, options.data)
