"""A model as `evaluate voice|text` runs it: opened once, then read over all rows, clean or under a disturbance."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from assistant.evaluate.options import RunOptions
from assistant.evaluate.report.provenance import hash_file
from assistant.evaluate.run.baseline import subtract_baselines
from assistant.evaluate.run.conditions import Disturbance
from assistant.evaluate.run.engine import Engine, Pace, measure_cost, read_rows
from assistant.evaluate.run.foreign_card import is_foreign
from assistant.evaluate.run.journal import Journal
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.run.worker import PIECE, PieceReader, find_stem
from assistant.evaluate.tables.manifest import BadRow, Row, refuse_bad_rows
from assistant.inference.card import Card
from assistant.inference.model import Model, SessionFactory, open_model
from assistant.version import __version__

JOURNAL = "run.journal"
"""In --out: what was read so far. It stays, so that `--resume` can report the same answers otherwise, at once."""


@dataclass(frozen=True, slots=True)
class ModelRun:
    """An open model, and how its rows are read."""

    options: RunOptions
    folder: Path
    card: Card
    """With our names for the labels of somebody else's model."""
    model: Model
    stem: Model | None
    """The encoder below a voice model of ours; None for texts and for somebody else's model."""
    pace: Pace = field(default_factory=Pace)

    @classmethod
    def open(cls, options: RunOptions, folder: Path, card: Card, session: SessionFactory) -> ModelRun:
        """Open the model, and the stem that it needs. Raises `ModelInvalid`."""
        model = open_model(folder, session)
        needs_stem = options.modality == "voice" and not is_foreign(card)
        return cls(options, folder, card, model, open_model(find_stem(card), session) if needs_stem else None)

    def read(
        self, rows: Sequence[Row], disturb: Disturbance | None = None
    ) -> tuple[Sequence[RowOutcome], list[BadRow]]:
        """Read all rows; the outcomes, and the rows that could not be read. Raises what `read_rows` raises."""
        clean = disturb is None
        strict = self.options.data if clean and self.options.strict else None
        reading = read_rows(
            self.model,
            self.options.modality,
            rows,
            stem=self.stem,
            disturb=disturb,
            workers=self.options.workers,
            journal=self._journal(disturb),
            engine=self._engine(disturb),
            pace=self.pace if clean else None,
            strict=strict,
        )
        outcomes, bad = asyncio.run(reading)
        if strict is not None:
            refuse_bad_rows(strict, bad)
        return outcomes, bad

    def hearing(self, rows: Sequence[Row]) -> Callable[[Disturbance], Sequence[RowOutcome]]:
        """A function that reads the rows under a disturbance, with the baseline that was asked for."""

        def hear(disturb: Disturbance) -> Sequence[RowOutcome]:
            print(f"under {disturb.condition.name}:", file=sys.stderr)
            return self.with_baseline(self.read(rows, disturb)[0])

        return hear

    def with_baseline(self, outcomes: Sequence[RowOutcome]) -> Sequence[RowOutcome]:
        """The outcomes relative to how each speaker usually sounds, if that was asked for."""
        population = self.card.data.get("population", {}).get("center", ())
        return subtract_baselines(outcomes, self.options.baseline, population)

    def cost(self, outcomes: Sequence[RowOutcome]) -> dict[str, Any]:
        """Time and memory, as `measure_cost` measures them."""
        models = [self.model] if self.stem is None else [self.model, self.stem]
        reader = PieceReader(self.model, self.options.modality, stem=self.stem)
        return measure_cost(reader, models, outcomes, self.pace)

    def _journal(self, disturb: Disturbance | None) -> Journal:
        """The journal of this run; what it may go on from must come from the same data, model and columns."""
        options, card = self.options, self.card
        key: dict[str, Any] = {
            "attune": __version__,
            "data": hash_file(options.data),
            "modality": options.modality,
            "model": card.sha256,
            "card": hash_file(card.folder / "card.toml"),
            "stem": None if self.stem is None else self.stem.card.sha256,
            "columns": dict(options.columns),
            "table": options.table,
            "form": options.form.tell() or None,
            "piece": PIECE[options.modality],
        }
        file = options.out / JOURNAL
        if disturb is not None:
            key["condition"] = disturb.identity
            file = file.with_stem(f"{file.stem}.{disturb.condition.name}")
        return (Journal.resume if options.resume else Journal.start)(file, key)

    def _engine(self, disturb: Disturbance | None) -> Engine | None:
        """Ray where it is asked for, else None: threads of this process."""
        if self.options.engine == "local":
            return None
        from assistant.evaluate.run.ray_engine import make_ray_engine

        return make_ray_engine(
            self.folder,
            self.options.modality,
            stem=None if self.stem is None else self.stem.card.folder,
            workers=self.options.workers,
            address=self.options.ray_address,
            disturb=disturb,
        )
