"""What became of the rows, as bytes in a journal and as a sequence that is read from there."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, overload

import msgspec
import numpy as np

from assistant.audio.voice import VoiceScores
from assistant.evaluate.figures.tasks import Scores
from assistant.evaluate.run.journal import Journal
from assistant.evaluate.tables.manifest import BadRow, Row
from assistant.inference.card import Card
from assistant.text.reader import TextScores

KINDS: dict[str, type[Scores]] = {kind.__name__: kind for kind in (TextScores, VoiceScores)}
_FIELDS = {name: [f.name for f in fields(kind) if f.name != "card"] for name, kind in KINDS.items()}
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder()


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """What became of one row: scores, or why the reader abstained."""

    row: Row
    scores: Scores | None
    abstained: str | None = None


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """What became of one row, without the row: exactly one of `scores`, `abstained` and `bad` is set."""

    line: int
    audio_s: float = 0.0
    scores: Scores | None = None
    abstained: str | None = None
    bad: str | None = None


def pack_outcomes(met: Sequence[LineOutcome]) -> bytes:
    """As bytes, without rounding any number."""
    return _ENCODER.encode([[m.line, m.audio_s, m.abstained, m.bad, _pack_scores(m.scores)] for m in met])


def _pack_scores(scores: Scores | None) -> list[Any] | None:
    if scores is None:
        return None
    kind = type(scores).__name__
    return [kind, *(_pack_number(getattr(scores, name)) for name in _FIELDS[kind])]


def _pack_number(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return [value.dtype.str, value.tobytes()]
    return [float(x) for x in value] if isinstance(value, tuple) else float(value)


def unpack_outcomes(data: bytes, card: Card) -> list[LineOutcome]:
    """What `pack_outcomes` made of outcomes; `card` is that of their model."""
    return [
        LineOutcome(line, audio_s, _scores(told, card), abstained, bad)
        for line, audio_s, abstained, bad, told in _DECODER.decode(data)
    ]


def _scores(told: list[Any] | None, card: Card) -> Scores | None:
    if told is None:
        return None
    kind, *values = told
    known = {name: _value(value) for name, value in zip(_FIELDS[kind], values, strict=True)}
    return KINDS[kind](card=card, **known)


def _value(written: Any) -> Any:
    if not isinstance(written, list):
        return written
    if len(written) == 2 and isinstance(written[0], str):
        return np.frombuffer(written[1], dtype=written[0])
    return tuple(written)


def list_lines(data: bytes) -> list[int]:
    """The lines that a piece of the journal tells of."""
    return [told[0] for told in _DECODER.decode(data)]


def list_bad_rows(data: bytes, rows: Sequence[Row], card: Card) -> list[BadRow]:
    """The rows of a piece that couldn't be read."""
    met = zip(rows, unpack_outcomes(data, card), strict=True)
    return [BadRow(row.line, one.bad, name=row.name) for row, one in met if one.bad is not None]


class RowOutcomes(Sequence[RowOutcome]):
    """The outcomes of rows, in their order, without those that couldn't be read.

    Scores stay in the journal, `size` rows to a piece; in memory are 8 bytes for each row.
    """

    def __init__(self, rows: Sequence[Row], journal: Journal, size: int, card: Card) -> None:
        self._rows, self._journal, self._size, self._card = rows, journal, size, card
        self._at = array("q")
        """Places among `rows` of those that could be read."""
        self._known: tuple[int, dict[int, RowOutcome]] = (-1, {})
        self.bad: list[BadRow] = []
        """The rows that could not be read."""
        self.audio_s = 0.0
        """Seconds of audio that was read."""
        for place, row, met in self._met():
            self.audio_s += met.audio_s
            if met.bad is None:
                self._at.append(place)
            else:
                self.bad.append(BadRow(row.line, met.bad, name=row.name))

    def _met(self) -> Iterator[tuple[int, Row, LineOutcome]]:
        rows = iter(self._rows)
        for start in range(0, len(self._rows), self._size):
            for within, met in enumerate(self._piece(start // self._size)):
                yield start + within, next(rows), met

    def _piece(self, number: int) -> list[LineOutcome]:
        data = self._journal.get(number)
        assert data is not None, "the journal is whole once a run has ended"
        return unpack_outcomes(data, self._card)

    def __len__(self) -> int:
        """How many rows could be read."""
        return len(self._at)

    def __iter__(self) -> Iterator[RowOutcome]:
        """The outcomes in the order of the rows."""
        return (RowOutcome(row, met.scores, met.abstained) for _, row, met in self._met() if met.bad is None)

    @overload
    def __getitem__(self, at: int) -> RowOutcome: ...
    @overload
    def __getitem__(self, at: slice) -> list[RowOutcome]: ...
    def __getitem__(self, at: int | slice) -> RowOutcome | list[RowOutcome]:
        """One outcome, or a list of some."""
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(len(self)))]
        place = self._at[at]
        number = place // self._size
        if self._known[0] != number:
            piece = enumerate(self._piece(number), number * self._size)
            known = {at: RowOutcome(self._rows[at], met.scores, met.abstained) for at, met in piece}
            self._known = number, known
        return self._known[1][place]

    def with_scores(self, moved: Iterable[RowOutcome]) -> RowOutcomes:
        """The same rows with other scores, one for each outcome in order, in a file without a name."""
        kept = Journal.temporary()
        scores = iter(moved)
        piece: list[LineOutcome] = []
        for place, _, met in self._met():
            piece.append(met if met.bad is not None else replace(met, scores=next(scores).scores))
            if (place + 1) % self._size == 0 or place + 1 == len(self._rows):
                kept.add(place // self._size, pack_outcomes(piece))
                piece = []
        return RowOutcomes(self._rows, kept, self._size, self._card)
