"""Beyond one machine: the pieces of a run as a Ray Data set, read by one actor for each worker.

Every actor opens the graphs itself and reads whole pieces, as a thread of a local run would. So the results are
those of a local run, to the last bit, on machines whose processors compute alike.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from assistant.config import shipped_models
from assistant.errors import AssistantError, ModelInvalid, Unavailable
from assistant.evaluate.extras import optional
from assistant.evaluate.run.engine import Engine, Piece
from assistant.evaluate.run.journal import pack_rows, unpack_rows
from assistant.evaluate.run.outcomes import pack_outcomes
from assistant.evaluate.run.worker import Disturb, Modality, PieceReader
from assistant.evaluate.tables.manifest import Row
from assistant.inference.card import read_card
from assistant.inference.model import Model, open_model
from assistant.version import __version__

_TOGETHER = 32_000_000  # bytes of rows that are handed to the cluster at once: what waits there is bounded
_MOST_BLOCKS = 1000


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """Where an actor finds a model, and which one it must be."""

    folder: Path
    """Absolute, or below the shipped models: those lie elsewhere on every machine."""
    sha256: str

    @classmethod
    def from_folder(cls, folder: Path) -> ModelPlace:
        """The place of a model that lies here. Raises what `read_card` raises."""
        whole, shipped = folder.resolve(), shipped_models().resolve()
        inside = whole.is_relative_to(shipped)
        return cls(whole.relative_to(shipped) if inside else whole, read_card(folder).sha256)

    def open(self) -> Model:
        """Open it. Raises `ModelInvalid` where another model lies there."""
        model = open_model(self.folder if self.folder.is_absolute() else shipped_models() / self.folder)
        card = model.card
        if card.sha256 != self.sha256:
            raise ModelInvalid(f"{card.folder} holds a different model on this machine than where the run began")
        return model


class Worker:
    """An actor: it reads one piece after the other."""

    def __init__(
        self, version: str, modality: Modality, model: ModelPlace, stem: ModelPlace | None, disturb: Disturb | None
    ) -> None:
        """Raises `Unavailable` (`version_other`) for another version of this package than where the run began."""
        if version != __version__:
            why = f"this worker has attune {__version__}, the run began with {version}"
            raise Unavailable(f"{why}: install the same version on all machines", code="version_other")
        opened = None if stem is None else stem.open()
        self._reading = PieceReader(model.open(), modality, stem=opened, disturb=disturb)

    def __call__(self, piece: dict[str, Any]) -> dict[str, Any]:
        """One piece: its `number`, and its `rows` as bytes; the answer holds `met`, as the journal keeps it."""
        return {"number": piece["number"], "met": pack_outcomes(self._reading.piece(unpack_rows(piece["rows"])))}


def make_ray_engine(
    folder: Path,
    modality: Modality,
    *,
    stem: Path | None = None,
    disturb: Disturb | None = None,
    workers: int = 2,
    address: str | None = None,
) -> Engine:
    """Read on the cluster at `address`, or on one that is started for this run with as many cores as workers.

    Raises `Unavailable`: `extra_missing` without Ray, and, once it runs, `ray_unreachable` or `ray_failed`.
    """
    ray = optional("ray", "--engine ray", "ray")
    optional("ray.data", "--engine ray", "ray")
    given = {
        "version": __version__,
        "modality": modality,
        "model": ModelPlace.from_folder(folder),
        "stem": None if stem is None else ModelPlace.from_folder(stem),
        "disturb": disturb,
    }

    async def engine(pieces: Iterator[Piece]) -> AsyncGenerator[tuple[int, bytes], None]:
        first = next(pieces, None)
        if first is None:
            return
        mine = not ray.is_initialized()
        await asyncio.to_thread(_join_cluster, ray, address, workers)
        try:
            for together in _group_pieces(chain([first], pieces)):
                found = _read_items(ray, together, given, workers)
                while (one := await asyncio.to_thread(_take_next, found)) is not None:
                    yield one
        finally:
            if mine:
                ray.shutdown()

    return engine


def _join_cluster(ray: Any, address: str | None, workers: int) -> None:
    if ray.is_initialized():
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray would tell its makers about every cluster
    local = {} if address else {"num_cpus": workers, "include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", configure_logging=True, **local)
    except Exception as error:  # Ray raises many kinds
        why = f"no Ray cluster can be reached at {address or 'this machine'}: {error}"
        raise Unavailable(why[:400], code="ray_unreachable") from error


def _group_pieces(pieces: Iterable[Piece]) -> Iterator[list[dict[str, Any]]]:
    """Pieces as items of a data set, up to `_TOGETHER` bytes at a time."""
    waiting: list[dict[str, Any]] = []
    size = 0
    for number, rows in pieces:
        data = pack_rows([strip_row(row) for row in rows])
        if waiting and size + len(data) > _TOGETHER:
            yield waiting
            waiting, size = [], 0
        waiting.append({"number": number, "rows": data})
        size += len(data)
    yield waiting


def strip_row(row: Row) -> Row:
    """What a reader needs and nothing else: no speaker, no label. The path is absolute: workers sit elsewhere.

    >>> strip_row(Row(2, "a", Path("/x/a"), speaker="anna", labels=("joy",))) == Row(2, "a", Path("/x/a"))
    True
    """
    file = None if row.file is None else row.file.absolute()
    return Row(row.line, row.name, file, row.text, row.start_s, row.end_s)


def _read_items(ray: Any, items: Sequence[dict[str, Any]], given: dict[str, Any], workers: int) -> Iterator[Any]:
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    data = ray.data.from_items(list(items), override_num_blocks=min(len(items), _MOST_BLOCKS))
    actors = ray.data.ActorPoolStrategy(size=min(workers, len(items)))
    found = data.map(Worker, compute=actors, fn_constructor_kwargs=given, num_cpus=1)
    rows: Iterator[Any] = iter(found.iter_rows())
    return rows


def _take_next(found: Iterator[Any]) -> tuple[int, bytes] | None:
    try:
        row = next(found, None)
    except AssistantError:
        raise
    except Exception as error:  # Ray wraps what a worker raised
        cause = getattr(error, "cause", None)
        why = f"a worker failed: {cause if isinstance(cause, AssistantError) else error}"[:600]
        raise Unavailable(f"{why}; what was read so far is kept: --resume continues", code="ray_failed") from error
    return None if row is None else (int(row["number"]), bytes(row["met"]))
