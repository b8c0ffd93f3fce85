"""The flow of `assistant evaluate voice --fit head`: from a table to a report of a method, and perhaps a model."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from assistant.config import shipped_models
from assistant.errors import ModelInvalid
from assistant.evaluate.fit import crossval as fit
from assistant.evaluate.fit import protocol
from assistant.evaluate.options import Options
from assistant.evaluate.report import files as report
from assistant.evaluate.report.findings import grouped
from assistant.evaluate.report.provenance import identity, provenance
from assistant.evaluate.run.worker import stem_folder
from assistant.evaluate.tables.labels import read_label_map
from assistant.evaluate.tables.manifest import BadRow, read_manifest, refuse, write_bad_rows
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
    report.prepare(options.out, rows=len(manifest.rows), columns=max(3, len(names)))
    model, stem = open_model(folder, session), open_model(stem_folder(card), session)
    bad = list(manifest.bad)

    def unread(rows: Sequence[BadRow]) -> None:
        bad.extend(rows)
        if options.strict:
            refuse(options.data, bad)
        report.tell(bad)
        write_bad_rows(options.out, options.data, bad)

    fitted = fit.fitted(options, manifest.rows, model, stem, unread=unread)
    if not fitted.outcomes:
        print(f"assistant evaluate: none of the rows of {options.data} could be read", file=sys.stderr)
        return 1
    sheet = report.sheet_of(options.task, fitted.card, fitted.outcomes)
    drop = options.abstain == "drop"
    found = report.findings(
        sheet,
        fitted.outcomes,
        drop=drop,
        replicates=options.bootstrap,
        seed=options.seed,
        columns=grouped(options.groups),
    )
    classes = f"{len(sheet.names)} classes: {', '.join(sheet.names)}"
    written: dict[str, Any] = {
        "provenance": provenance(options.data, seed=options.seed, label_map=options.label_map),
        "task": options.task,
        **found,
        **fitted.found,
        "model": identity(fitted.card) | {"stem": identity(stem.card), "beside": identity(card)},
        "options": _told(options, label_map),
        "bad_rows": report.bad_rows(bad),
        "left_out": manifest.left_out,
        "notes": [classes, *fitted.notes, *manifest.notes],
        "seconds": round(time.monotonic() - started, 3),
    }
    report.write(options.out, written, sheet, fitted.outcomes, with_text=False)
    print(report.table(written))
    for name, figures in {"mean of the folds": fitted.found["folds"]["mean"], **fitted.found["compared"]}.items():
        print(f"  uar, {name}: {figures['uar'].value:.3f} [{figures['uar'].low:.3f}, {figures['uar'].high:.3f}]")
    print(f"  in {options.out}: {report.FILES}")
    if fitted.saved is not None:
        print(f"  in {fitted.saved}: a model folder. Use it with --model {fitted.saved}, or serve it with "
              f"ATTUNE_VOICE_MODEL={fitted.saved.resolve()}")  # fmt: skip
    return 0


def _told(options: Options, label_map: Mapping[str, str | None]) -> dict[str, Any]:
    told = asdict(options) | {"label_map": dict(label_map)}
    for how in ("resume", "workers", "engine", "ray_address"):  # they change no figure
        del told[how]
    return {name: str(value) if isinstance(value, Path) else value for name, value in told.items()}
