"""Sessions: what one person's messages and utterances come to when a conversation fuses them, turn by turn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from assistant.audio.voice import VoiceScores, apply_baseline
from assistant.config import Settings
from assistant.emotion import MODALITIES, Modality, Mood, Reading
from assistant.errors import Invalid
from assistant.evaluate.figures.tasks import Scores
from assistant.evaluate.tables.form import PLAIN, TableForm
from assistant.evaluate.tables.labels import LabelMap, read_labels, read_number
from assistant.evaluate.tables.manifest import Manifest, describe_long
from assistant.evaluate.tables.rows import BadRow, Row, RowReader
from assistant.evaluate.tables.tables import Cells, open_plain_table
from assistant.mood.baseline import usual_from
from assistant.mood.conformal import UNCALIBRATED, Calibration
from assistant.mood.timeline import Timeline

GAP_S = 10.0
"""Seconds taken to lie between two turns where the file gives no times."""


@dataclass(frozen=True, slots=True)
class SessionRow:
    """One turn of a session: what was written, what was said, or both."""

    row: Row
    """Its `speaker` is the session, so that sessions are resampled whole."""
    at_s: float


@dataclass(frozen=True, slots=True)
class SessionTurn:
    """A turn as the readers took it; without scores where they abstained or there was nothing."""

    session: str
    at_s: float
    scores: tuple[Scores, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """How readings are fused: what a server is set to."""

    half_life_s: float = Settings().mood_half_life_s
    expires_s: float = Settings().mood_expires_s
    calibration: Calibration = UNCALIBRATED
    population: tuple[float, ...] = ()
    """Where the personal baseline of a voice begins; empty for none."""

    def timeline(self) -> Timeline:
        """A new timeline with these rules."""
        return Timeline(half_life_s=self.half_life_s, expires_s=self.expires_s, calibration=self.calibration)


def follow_turns(
    turns: Iterable[SessionTurn],
    rules: Rules,
    *,
    modalities: Sequence[Modality] = MODALITIES,
    history: bool = True,
) -> Iterator[Mood | None]:
    """The mood right after each turn, from `modalities`; None where nothing was ever read.

    The turns of a session stand together, in their order. Without `history` every turn stands alone, and nobody's
    usual voice is known.
    """
    session, timeline = None, rules.timeline()
    for turn in turns:
        if turn.session != session or not history:
            session, timeline = turn.session, rules.timeline()
        for scores in turn.scores:
            reading = _make_reading(scores, timeline, rules.population)
            if reading.modality in modalities:
                timeline.add_reading(reading, turn.at_s)
        yield timeline.mood(turn.at_s, modalities)


def _make_reading(scores: Scores, timeline: Timeline, population: Sequence[float]) -> Reading:
    """As the conversation has it read: a voice relative to how it usually sounds."""
    if isinstance(scores, VoiceScores):
        known = usual_from(timeline.baseline("voice"), population, scores.card.fingerprint)
        scores = scores if known is None else apply_baseline(known, scores)
    return scores.reading()


def read_sessions(
    file: Path, *, allowed: Sequence[str], label_map: LabelMap, gap_s: float = GAP_S, form: TableForm = PLAIN
) -> tuple[Manifest, tuple[SessionRow, ...]]:
    """Read a table of turns: `session`, `order`, `emotion`, and `text`, `file` or both; perhaps `at_s`.

    The turns come session by session in their order. Raises `NotFound` and `Invalid` as `read_manifest` does.
    """
    table = open_plain_table(file, form)
    columns = table.columns
    missing = [f"the column `{name}`" for name in ("session", "order", "emotion") if name not in columns]
    if not {"text", "file"} & set(columns):
        missing.append("one of `text`, `file`")
    if missing:
        raise Invalid(f"{file} lacks {' and '.join(missing)}", code="manifest_column_missing")
    found: dict[str, list[tuple[float, float | None, Row]]] = {}
    bad: list[BadRow] = []
    left_out = 0
    voices, texts = RowReader(table, "voice"), RowReader(table, "text")
    for line, cell in table.rows():
        try:
            if isinstance(cell, str):
                raise ValueError(cell)
            order, at_s = (read_number(cell, name, form.decimal) for name in ("order", "at_s"))
            if not cell["session"].strip() or order is None:
                raise ValueError("the row has no session or no order")
            row = _read_turn(line, cell, voices, texts)
            labels = read_labels(cell, "emotion", allowed, label_map)
        except ValueError as error:
            bad.append(BadRow(line, str(error)))
            continue
        if labels is None:
            left_out += 1
        else:
            found.setdefault(row.speaker, []).append((order, at_s, replace(row, labels=labels.names)))
    rows = tuple(
        SessionRow(row, gap_s * place if at_s is None else at_s)
        for turns in found.values()
        for place, (_, at_s, row) in enumerate(sorted(turns, key=lambda turn: turn[0]))
    )
    notes = (*voices.segment.describe(), *describe_long([one.row for one in rows]))
    return Manifest(tuple(one.row for one in rows), tuple(bad), left_out, columns, notes=notes), rows


def _read_turn(line: int, cell: Cells, voices: RowReader, texts: RowReader) -> Row:
    text, session = cell.get("text", ""), cell["session"].strip()
    if cell.get("file", "").strip():
        return replace(voices.read(line, cell), text=text, speaker=session)
    if not text.strip():
        raise ValueError("the row has neither a text nor a file")
    return replace(texts.read(line, cell), speaker=session)
