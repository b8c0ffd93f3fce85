"""What is told of a method that was measured: its folds, its heads, and the card of the model it left behind."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from assistant.arrays import Ints
from assistant.evaluate.fit.head import Head, TrainingSet
from assistant.evaluate.options import Options
from assistant.evaluate.report.provenance import hash_file

FLOOR = "floor: energy and pitch"


def names_of_folds(speakers: Sequence[str], place: Ints) -> list[str]:
    """What is left out of each fold: the speaker, or how many."""
    found = []
    for part in range(int(place.max()) + 1):
        names = sorted({name for name, at in zip(speakers, place.tolist(), strict=True) if at == part})
        found.append(f"speaker {names[0]}" if len(names) == 1 else f"fold {part + 1}: {len(names)} speakers")
    return found


def hash_of(heads: Sequence[Head]) -> str:
    """Of all that was learned, so that a report says which heads it is about."""
    learned = hashlib.sha256()
    for one in heads:
        for linear in (one.raw, one.relative):
            learned.update(linear.weight.tobytes() + linear.bias.tobytes())
    return learned.hexdigest()


def told(one: Head) -> dict[str, Any]:
    """What was chosen for both readings of a head, the raw first."""
    return {
        "ridge": list(one.penalties),
        "temperature": [round(1 / factor, 4) for factor in one.factors],
    }


def notes_of(options: Options, names: Sequence[str]) -> list[str]:
    """Sentences for the report."""
    what = f"each value of {options.leave_out}" if options.leave_out else f"{len(names)} folds of speakers"
    notes = [
        f"measured a method, not one model: for {what} a linear head on the frozen stem learned from the others, "
        "with its ridge and temperature chosen on inner folds of those",
    ]
    if options.leave_out is None and len(names) < options.folds:
        notes.append(
            f"there are only {len(names)} speakers, so there are {len(names)} folds and not {options.folds}"
        )
    return notes


def about(options: Options, known: TrainingSet, found: Mapping[str, Any]) -> dict[str, Any]:
    """What the card says of its training and of the folds."""
    pooled, floor = found["compared"][f"baseline: {options.baseline}"], found["compared"][FLOOR]
    speakers = int(known.who.max()) + 1
    protocol = (
        f"{options.leave_out} left out in turn" if options.leave_out else f"{found['folds']['k']} folds of speakers"
    )
    uar = dict(zip(("value", "low", "high"), _numbers(pooled["uar"]), strict=True))
    figure = {
        "measure": "uar",
        **{name: round(value, 4) for name, value in uar.items() if np.isfinite(value)},
        "floor": round(_numbers(floor["uar"])[0], 4),
        "data": f"{options.data.name}, {len(known.labels)} classes, {protocol}; baseline: {options.baseline}",
        "n": len(known.target),
        "command": "assistant evaluate voice --fit head",
    }
    training = {
        "name": options.data.name,
        "licence": "say it here",
        "rows": len(known.target),
        "note": f"{speakers} speakers; only the emotions were learned from it",
    }
    return {"fitted": {"data_sha256": hash_file(options.data)}, "training_data": [training], "figures": [figure]}


def _numbers(figure: Any) -> tuple[float, float, float]:
    return figure.value, figure.low, figure.high
