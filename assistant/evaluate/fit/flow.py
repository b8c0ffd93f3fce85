"""The flow of `assistant evaluate voice --fit head`: from a table to a report of a method, and perhaps a model."""

from __future__ import annotations

import time
from collections.abc import Sequence

from assistant.config import shipped_models
from assistant.errors import ModelInvalid
from assistant.evaluate.fit import crossval as fit
from assistant.evaluate.fit import protocol
from assistant.evaluate.options import SAME_FIGURES, Options
from assistant.evaluate.report import files
from assistant.evaluate.report.findings import compute_findings, list_group_columns, make_sheet
from assistant.evaluate.report.predictions import make_lines
from assistant.evaluate.report.provenance import describe_model, describe_options, describe_run
from assistant.evaluate.report.report import Folds, Leakage, Report, get_members, to_measured, to_struct
from assistant.evaluate.run.worker import stem_folder
from assistant.evaluate.tables.labels import read_label_map
from assistant.evaluate.tables.manifest import BadRow, read_manifest, refuse
from assistant.inference.card import read_card
from assistant.inference.model import SessionFactory, onnx_session, open_model


def evaluate(options: Options, *, session: SessionFactory = onnx_session) -> int:
    """Fit, measure, write the report and print it. 0 when measured, 1 when no row could be read."""
    started = time.monotonic()
    protocol.check(options)
    names = protocol.own_labels(options)
    label_map = read_label_map(options.label_map, names)
    manifest = read_manifest(
        options.data,
        options.modality,
        options.task,
        allowed=names,
        label_map=label_map,
        need_speaker=True,
        columns=dict(options.columns),
        table=options.table,
        strict=options.strict,
        more=protocol.columns(options),
    )
    folder = options.model or shipped_models() / options.modality
    card = read_card(folder)
    if "states" not in card.inputs:
        raise ModelInvalid(f"{card.name} reads no frozen stem: --fit needs a voice model that does, as the shipped")
    files.prepare_folder(options.out, rows=len(manifest.rows), columns=max(3, len(names)))
    model, stem = open_model(folder, session), open_model(stem_folder(card), session)
    bad = list(manifest.bad)

    def unread(rows: Sequence[BadRow]) -> None:
        bad.extend(rows)
        if options.strict:
            refuse(options.data, bad)
        files.report_bad_rows(options.out, options.data, bad)

    fitted = fit.fitted(options, manifest.rows, model, stem, unread=unread)
    if not fitted.outcomes:
        return files.print_nothing_scored(options.data)
    sheet = make_sheet(options.task, fitted.card, fitted.outcomes)
    found = compute_findings(
        sheet,
        fitted.outcomes,
        drop=options.abstain == "drop",
        replicates=options.bootstrap,
        seed=options.seed,
        columns=list_group_columns(options.groups),
    )
    report = Report(
        **get_members(found),
        provenance=describe_run(options.data, seed=options.seed, label_map=options.label_map),
        leakage=to_struct(fitted.found["leakage"], Leakage),
        folds=to_struct(fitted.found["folds"], Folds),
        compared={name: dict(to_measured(one)) for name, one in fitted.found["compared"].items()},
        model=describe_model(fitted.card, stem=stem.card, beside=card),
        options=describe_options(options, without=SAME_FIGURES, label_map=dict(label_map)),
        bad_rows=files.list_bad_rows(bad),
        left_out=manifest.left_out,
        notes=[f"{len(sheet.names)} classes: {', '.join(sheet.names)}", *fitted.notes, *manifest.notes],
        seconds=round(time.monotonic() - started, 3),
    )
    files.write_predictions(options.out, make_lines(sheet, fitted.outcomes))
    files.write_and_print(report, options.out)
    if fitted.saved is not None:
        print(f"  in {fitted.saved}: a model folder. Use it with --model {fitted.saved}, or serve it with")
        print(f"  ATTUNE_VOICE_MODEL={fitted.saved.resolve()}")
    return 0
