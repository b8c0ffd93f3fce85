"""What `--fit` can be asked for, and which labels a head may then learn: those that the table has."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from assistant.errors import Invalid
from assistant.evaluate.extras import optional
from assistant.evaluate.fit import model_folder
from assistant.evaluate.fit.head import ordered_labels
from assistant.evaluate.options import Options
from assistant.evaluate.report.findings import list_extra_columns
from assistant.evaluate.report.provenance import hash_file
from assistant.evaluate.tables.manifest import open_table
from assistant.evaluate.tables.tables import plain
from assistant.inference.card import Card

_MOST_LABELS = 64


def check(options: Options) -> None:
    """Raise `Invalid` (`fit_unsupported`) for what can't be fitted, and for options that only go with `--fit`.

    And `Unavailable` (`extra_missing`) where the libraries that fit are missing: better at once than after an hour.
    """
    if options.fit is None:
        for name, given in (("--leave-out", options.leave_out), ("--save-model", options.save_model)):
            if given is not None:
                raise Invalid(f"{name} goes with --fit head: nothing is trained without it", code="fit_unsupported")
        return
    if options.modality == "text":
        raise Invalid(
            "--fit head needs the features of a frozen stem, and the text model gives only its answers; "
            "measure it as it is, or fit a voice model",
            code="fit_unsupported",
        )
    if options.task != "emotion":
        raise Invalid(
            f"--fit head learns emotions; the task {options.task} is not one of them: write your classes, whatever "
            "their names, in a column `emotion`",
            code="fit_unsupported",
        )
    for other, asked in (("--conditions", bool(options.conditions)), ("--engine ray", options.engine == "ray")):
        if asked:
            raise Invalid(
                f"{other} doesn't go with --fit: save the head with --save-model, then measure it with --model",
                code="fit_unsupported",
            )
    if options.leave_out is None and options.folds < 2:
        raise Invalid("--folds must be 2 or more: one part tests what the others teach", code="fit_unsupported")
    optional("scipy.optimize", "--fit head")
    if options.save_model is not None:
        model_folder.check_place(options.save_model)


def seen(card: Card, data: Path) -> list[str]:
    """A note where a fitted head is measured on the very table that it learned from."""
    own = card.data.get("fitted", {}).get("data_sha256")
    if not own or own != hash_file(data):
        return []
    return [
        f"{card.name} learned from this very table: these figures say nothing of voices that it doesn't know; "
        "those of its folds are on its card and in the report of --fit"
    ]


def columns(options: Options) -> list[str]:
    """Columns that the protocol and the groups need beside the usual ones."""
    left_out = () if options.leave_out is None else (plain(options.leave_out),)
    return list_extra_columns((*options.groups, *left_out))


def own_labels(options: Options) -> tuple[str, ...]:
    """Every label that the table has, or that the map turns it into: a fitted head takes any name.

    Raises `Invalid` (`fit_unsupported`) for more than 64, which are no classes.
    """
    label_map = options.label_map
    table = open_table(options.data, columns=dict(options.columns), table=options.table, wanted=[options.task])
    known: Mapping[str, Any] = {}
    if label_map is not None:
        try:
            known = {plain(theirs): ours for theirs, ours in json.loads(label_map.read_text("utf-8-sig")).items()}
        except (OSError, ValueError, AttributeError):
            known = {}  # whoever reads the map next says what is wrong with it
    found = {plain(ours) for ours in known.values() if isinstance(ours, str)}
    for _, cells in table.rows():
        if not isinstance(cells, str) and (name := plain(cells.get("emotion", ""))) and name not in known:
            found.add(name)
        if len(found) > _MOST_LABELS:
            raise Invalid(
                f"{table.file} has over {_MOST_LABELS} different labels in `emotion`; join some by --label-map",
                code="fit_unsupported",
            )
    return ordered_labels(found)
