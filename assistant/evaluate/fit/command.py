"""The flow of `assistant evaluate voice --fit head`: from a table to a report of a method, and perhaps a model."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.config import shipped_models
from assistant.errors import Invalid, ModelInvalid, NotFound
from assistant.evaluate.extras import optional
from assistant.evaluate.fit import head, model_folder
from assistant.evaluate.fit.crossval import CrossValidated, cross_validate
from assistant.evaluate.fit.folds import Protocol
from assistant.evaluate.leakage.check import find_leakage, read_against
from assistant.evaluate.options import SAME_FIGURES, RunOptions
from assistant.evaluate.report import files
from assistant.evaluate.report.conversion import get_members, to_measured
from assistant.evaluate.report.findings import compute_findings, list_extra_columns, list_group_columns, make_sheet
from assistant.evaluate.report.predictions import make_lines
from assistant.evaluate.report.provenance import describe_model, describe_options, describe_run
from assistant.evaluate.report.report import Report
from assistant.evaluate.run.worker import find_stem
from assistant.evaluate.tables.labels import load_label_map, read_label_map, split_names
from assistant.evaluate.tables.manifest import BadRow, open_table, read_manifest, refuse_bad_rows
from assistant.evaluate.tables.tables import TextTable, normalise_name
from assistant.inference.card import Card, read_card
from assistant.inference.model import SessionFactory, onnx_session, open_model

_MOST_LABELS = 64


def check_options(options: RunOptions) -> None:
    """Raise `Invalid` (`fit_unsupported`) for what can't be fitted, and for options that only go with `--fit`.

    And `Unavailable` (`extra_missing`) where the libraries that fit are missing: better at once than after an hour.
    """
    if options.fit is None:
        for name, given in (("--leave-out", options.leave_out), ("--save-model", options.save_model)):
            if given is not None:
                raise Invalid(f"{name} goes with --fit head: nothing is trained without it", code="fit_unsupported")
        return
    instead = "doesn't go with --fit: save the head with --save-model, then measure it with --model"
    checks = (
        (
            options.modality == "text",
            "--fit head needs the features of a frozen stem, and the text model gives only its results; evaluate "
            "it as it is, or fit a voice model",
        ),
        (
            options.task != "emotion",
            f"--fit head learns emotions, not {options.task}: write your classes, whatever their names, in a "
            "column `emotion`",
        ),
        (bool(options.conditions), f"--conditions {instead}"),
        (options.engine == "ray", f"--engine ray {instead}"),
        (
            options.leave_out is None and options.folds < 2,
            "--folds must be 2 or more: each fold is tested by a head that learned from the others",
        ),
    )
    for wrong, words in checks:
        if wrong:
            raise Invalid(words, code="fit_unsupported")
    optional("scipy.optimize", "--fit head")
    if options.save_model is not None:
        model_folder.check_folder(options.save_model)


def evaluate(options: RunOptions, *, session: SessionFactory = onnx_session) -> int:
    """Fit, measure, write the report and print it; 0. Raises `AssistantError` for what keeps it from measuring."""
    started = time.monotonic()
    check_options(options)
    columns = dict(options.columns)
    table = open_table(options.data, columns=columns, table=options.table, wanted=[options.task], form=options.form)
    names = list_own_labels(table, options.label_map)
    label_map = read_label_map(options.label_map, names)
    left_out = None if options.leave_out is None else normalise_name(options.leave_out)
    wanted = options.groups if left_out is None else [*options.groups, left_out]
    manifest = read_manifest(
        options.data,
        options.modality,
        options.task,
        allowed=names,
        label_map=label_map,
        need_speaker=True,
        columns=columns,
        table=options.table,
        form=options.form,
        strict=options.strict,
        more=list_extra_columns(wanted),
    )
    folder = options.model or shipped_models() / options.modality
    card = read_card(folder)
    if "states" not in card.inputs:
        raise ModelInvalid(
            f"{card.name} has no frozen stem: --fit needs a voice model with one, such as the shipped model"
        )
    files.prepare_folder(options.out, rows=len(manifest.rows), columns=max(3, len(names)))
    model, stem = open_model(folder, session), open_model(find_stem(card), session)
    bad = list(manifest.bad)

    def unread(rows: Sequence[BadRow]) -> None:
        bad.extend(rows)
        if options.strict:
            refuse_bad_rows(options.data, bad)
        files.report_bad_rows(options.out, options.data, bad)

    protocol = Protocol(options.folds, left_out, options.baseline, options.scoring)
    found = cross_validate(manifest.rows, model, stem, protocol, cache=options.out / "features", unread=unread)
    shared, notes = found.copies, list(found.notes)
    if options.against is not None:
        trained = read_against(options.against, options.modality, columns, options.table, options.form)
        shared = find_leakage(found.rows, trained, against=options.against.name)
    if options.save_model is not None:
        notes += _save_model(options.save_model, options.data, found, protocol, card)
    outcomes = found.outcomes
    sheet = make_sheet(options.task, found.card, outcomes)
    measured = compute_findings(sheet, outcomes, options.scoring, columns=list_group_columns(options.groups))
    report = Report(
        **get_members(measured),
        provenance=describe_run(options.data, seed=options.seed, label_map=options.label_map),
        leakage=shared,
        folds=found.folds,
        compared={name: dict(to_measured(one)) for name, one in found.compared.items()},
        model=describe_model(found.card, stem=stem.card, beside=card),
        options=describe_options(options, without=SAME_FIGURES, label_map=dict(label_map)),
        bad_rows=files.list_bad_rows(bad),
        left_out=manifest.left_out,
        notes=[f"{len(sheet.names)} classes: {', '.join(sheet.names)}", *notes, *manifest.notes],
        seconds=round(time.monotonic() - started, 3),
    )
    files.write_and_print(report, make_lines(sheet, outcomes), options.out)
    if (saved := options.save_model) is not None:
        print(f"  in {saved}: a model folder. Use it with --model {saved}, or serve it with")
        print(f"  ATTUNE_VOICE_MODEL={saved.resolve()}")
    return 0


def _save_model(folder: Path, data: Path, found: CrossValidated, protocol: Protocol, beside: Card) -> list[str]:
    """Train on everything, and write the model folder; what the report must say of it."""
    every = np.arange(len(found.known.target))
    whole = head.train_head(found.known, every, seed=protocol.scoring.seed, place=found.place)
    card = model_folder.make_training_card(data, found.known, protocol, found.compared, len(found.folds.of))
    model_folder.save_model(folder, whole, beside, card)
    emotions, most = len(whole.labels), model_folder.MOST_SERVED
    words = f"{folder} names {emotions} emotions: it can be evaluated, but a server takes at most {most}"
    return [words] if emotions > most else []


def list_own_labels(table: TextTable, label_map: Path | None) -> tuple[str, ...]:
    """Every label that the table has, or that the map turns it into: a fitted head takes any name.

    Raises `Invalid` (`fit_unsupported`) for more than 64, which are no classes.
    """
    known: Mapping[str, Any] = {}
    if label_map is not None:
        try:
            known = {normalise_name(theirs): ours for theirs, ours in load_label_map(label_map).items()}
        except (Invalid, NotFound):
            known = {}  # whoever reads the map next says what is wrong with it
    found = {normalise_name(ours) for ours in known.values() if isinstance(ours, str)}
    for _, cells in table.rows():
        if not isinstance(cells, str):
            names = split_names(written) if (written := cells.get("emotion", "")).startswith("[") else [written]
            found |= {name for one in names if (name := normalise_name(one)) and name not in known}
        if len(found) > _MOST_LABELS:
            words = f"{table.file} has over {_MOST_LABELS} different labels in `emotion`; join some by --label-map"
            raise Invalid(words, code="fit_unsupported")
    return head.order_labels(found)
