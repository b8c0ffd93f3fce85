"""Reading the researcher's table: rows that can be scored, and rows that can't, each with its line and reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from assistant.errors import Invalid
from assistant.evaluate.figures.tasks import SCALES, Task
from assistant.evaluate.tables import audformat
from assistant.evaluate.tables.form import PLAIN, TableForm
from assistant.evaluate.tables.labels import (
    LabelMap,
    Labels,
    UnknownLabel,
    gather_columns,
    list_counts,
    read_labels,
)
from assistant.evaluate.tables.labels import read_label_map as read_label_map
from assistant.evaluate.tables.numbers import find_marks
from assistant.evaluate.tables.rows import NO_AFFECT, RowReader, get_name
from assistant.evaluate.tables.rows import BadRow as BadRow
from assistant.evaluate.tables.rows import Row as Row
from assistant.evaluate.tables.tables import (
    HEADER_HINT,
    TextTable,
    adapt_emobox,
    normalise_name,
    open_plain_table,
    rename_columns,
)
from assistant.text.reader import LONGEST

SHOWN_STRICT = 10
"""Bad rows named when `--strict` stops a run."""
HELP = """\
The table is CSV or TSV (also gzipped), JSON lines, JSON or Parquet, by its ending; a list of EmoBox; or the folder
of an audformat database, which also names the speakers. --columns gives the names of your columns:

  assistant evaluate voice --data emodb --table emotion.test --label-map map.json
  assistant evaluate voice --data cafe_test_fold_1.jsonl --columns 'speaker=key:cafe-(\\d+)' --label-map map.json

Rows that cannot be scored are printed, counted, and written to bad_rows.csv with line and reason; with --strict the
run stops there. --against names the training data of the model: shared speakers and near-duplicates are reported.
"""
_USED = ("speaker", "gender", "group", "text")  # columns that may lie in another table of a database
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A table, read."""

    rows: tuple[Row, ...]
    bad: tuple[BadRow, ...]
    left_out: int
    """Rows whose label the map leaves out on purpose."""
    columns: tuple[str, ...]
    unmapped: Mapping[str, int] = field(default_factory=dict)
    """Labels that are neither ours nor in the map, with their rows; these rows are bad."""
    sources: tuple[Path, ...] = ()
    """The files that the table is made of."""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Question:
    """What the rows of a table are read for."""

    modality: Literal["voice", "text"]
    task: Task
    allowed: Sequence[str]
    label_map: LabelMap = field(default_factory=dict)
    need_speaker: bool = False
    more: Sequence[str] = ()
    """Further columns to keep with each row."""


def open_table(
    file: Path,
    *,
    columns: Mapping[str, str] = _NOTHING,
    table: str | None = None,
    wanted: Sequence[str] = (),
    more: Sequence[str] = (),
    form: TableForm = PLAIN,
) -> TextTable:
    """A table, an audformat database (its folder or `db.yaml`; `table` says which), or EmoBox's lists of clips.

    `columns` is {"ours": "theirs"}, see `tables.rename_columns`; of `wanted` a table of a database must have one,
    and `more` it may take from other tables. Raises `NotFound` (`file_missing`) and `Invalid` (`columns_invalid`,
    `manifest_unreadable`, `manifest_column_missing`, `table_unclear`, `table_pickled`).
    """
    if audformat.is_database(file):

        def get_theirs(name: str) -> str:
            return normalise_name(columns.get(name, name).partition(":")[0])

        needed = [get_theirs(name) for name in [*_USED, *more, *columns]]
        found = audformat.open_database(file, table, [get_theirs(name) for name in wanted], needed)
        found = replace(found, form=replace(form, decimal=None))
    elif table is not None:
        raise Invalid(f"--table is for audformat databases, and {file} is not one", code="columns_invalid")
    else:
        found = adapt_emobox(open_plain_table(file, form))
    return rename_columns(found, columns) if columns else found


def read_manifest(
    file: Path,
    modality: Literal["voice", "text"],
    task: Task,
    *,
    allowed: Sequence[str],
    label_map: LabelMap | None = None,
    need_speaker: bool = False,
    columns: Mapping[str, str] = _NOTHING,
    table: str | None = None,
    more: Sequence[str] = (),
    form: TableForm = PLAIN,
    strict: bool = False,
    keep: Callable[[Row], None] | None = None,
) -> Manifest:
    """Read a whole table with its labels.

    Rows that can't be understood are collected; `strict` raises `Invalid` for them: `label_unmapped` with all
    labels that are unknown, else `row_invalid` with the first rows. `keep` takes the rows one by one where it is
    given, and the manifest then holds none. Raises also what `open_table` and `check_columns` raise.
    """
    wanted = allowed if task == "affect" else [task]
    opened = open_table(file, columns=columns, table=table, wanted=wanted, more=more, form=form)
    notes: list[str] = []
    if task == "labels":
        opened, notes = gather_columns(opened, allowed, label_map or {})
    question = Question(modality, task, allowed, label_map or {}, need_speaker, more)
    check_columns(opened, question)
    rows: list[Row] = []
    keep = keep or rows.append
    bad: list[BadRow] = []
    long: list[Row] = []
    left_out, unmapped = 0, Counter[str]()
    for found in read_labelled_rows(opened, question, unmapped):
        if isinstance(found, Row):
            keep(found)
            if len(found.text) > LONGEST:
                long.append(found)
        elif found is None:
            left_out += 1
        else:
            bad.append(found)
    if strict:
        refuse_bad_rows(file, bad, unmapped)
    notes += RowReader(opened, modality).segment.describe()
    if modality == "voice" and "speaker" not in opened.columns:
        notes.append("no speakers are named: intervals resample single clips, and are too narrow; see --columns")
    notes += describe_long(long)
    return Manifest(tuple(rows), tuple(bad), left_out, opened.columns, dict(unmapped), opened.sources, tuple(notes))


def describe_long(rows: Iterable[Row]) -> list[str]:
    """What a report says of texts that are not read to their end.

    >>> describe_long([Row(3, "", text="so happy " * 25_000), Row(4, "", text="so sad")])
    ['1 text is longer than 20,000 characters, and the rest is not read: line 3 (225,000)']
    """
    long = [(row.line, len(row.text)) for row in rows if len(row.text) > LONGEST]
    if not long:
        return []
    first = ", ".join(f"line {line} ({characters:,})" for line, characters in long[:SHOWN_STRICT])
    more = f" and {len(long) - SHOWN_STRICT} more" if len(long) > SHOWN_STRICT else ""
    many = f"{len(long)} texts are" if len(long) > 1 else "1 text is"
    return [f"{many} longer than {LONGEST:,} characters, and the rest is not read: {first}{more}"]


def refuse_bad_rows(file: Path, bad: Sequence[BadRow], unmapped: Mapping[str, int] | None = None) -> None:
    """Raise `Invalid` (`label_unmapped`, `row_invalid`) where there is anything bad: what `--strict` is for."""
    if unmapped:
        raise Invalid(f"{file}: {describe_unmapped(unmapped)}", code="label_unmapped")
    if len(bad):
        first = sorted(bad, key=lambda row: row.line)[:SHOWN_STRICT]
        told = "".join(f"\n  line {row.line}: {row.reason}" for row in first)
        more = f"\n  and {len(bad) - len(first)} more" if len(bad) > len(first) else ""
        raise Invalid(f"{file} has {len(bad)} bad rows, and --strict allows none:{told}{more}", code="row_invalid")


def describe_table(manifest: Manifest) -> list[str]:
    """What a report says of the table itself."""
    unmapped = [describe_unmapped(manifest.unmapped, most=SHOWN_STRICT)] if manifest.unmapped else []
    return [*manifest.notes, *unmapped]


def describe_unmapped(unmapped: Mapping[str, int], *, most: int | None = None) -> str:
    """A sentence about labels that are not mapped, all of them with their counts."""
    many = f"{len(unmapped)} labels are" if len(unmapped) > 1 else "1 label is"
    counts = list_counts(unmapped, most=most)
    return f"{many} not mapped: {counts}; name them in --label-map, or null to leave them out"


def read_labelled_rows(
    table: TextTable, question: Question, unmapped: Counter[str] | None = None
) -> Iterator[Row | BadRow | None]:
    """The rows of a table one after the other, in bounded memory: a row, a bad row, or None where it is left out.

    Counts unknown labels in `unmapped`. Raises `Invalid` (`manifest_unreadable`) at last if decimals are unclear.
    """
    reader = RowReader(table, question.modality, question.more)
    marks: set[str] = set()
    for line, cells in table.rows():
        if isinstance(cells, str):
            yield BadRow(line, cells)
            continue
        if question.task == "affect" and table.form.decimal is None:
            marks |= {mark for name in question.allowed for mark in find_marks(cells.get(name, ""))}
        try:
            row = reader.read(line, cells)
            if question.need_speaker and not row.speaker:
                raise ValueError("no speaker, and a baseline or --fit needs one")
            labels = read_labels(cells, question.task, question.allowed, question.label_map, table.form.decimal)
        except ValueError as error:
            if unmapped is not None and isinstance(error, UnknownLabel):
                unmapped[error.label] += 1
            yield BadRow(line, str(error), name=get_name(cells, question.modality))
            continue
        yield None if labels is None else _add_labels(row, labels)
    if len(marks) > 1:
        why = f"{table.file} has numbers with a decimal comma and others with a point, which may be thousands"
        raise Invalid(f"{why}: say which it is with --decimal comma or --decimal point", code="manifest_unreadable")


def _add_labels(row: Row, labels: Labels) -> Row:
    """As `dataclasses.replace`, which took half of the time of a large table."""
    affect = NO_AFFECT if labels.affect is None else labels.affect
    where = (row.line, row.name, row.file, row.text, row.start_s, row.end_s)
    return Row(*where, row.speaker, row.group, row.gender, labels.names, affect, row.more, row.channel)


def check_columns(table: TextTable, question: Question) -> None:
    """See that the table has what is needed. Raises `Invalid` (`manifest_column_missing`) with what there is."""
    voice, affect = question.modality == "voice", question.task == "affect"
    speaker = ["speaker"] if voice and (table.names_speakers or question.need_speaker) else []
    wanted = ["file" if voice else "text", *speaker, *([] if affect else [question.task]), *question.more]
    require_columns(table, wanted, question.allowed if affect else ())


def require_columns(table: TextTable, wanted: Sequence[str], one_of: Sequence[str] = ()) -> None:
    """See that a table has all `wanted` columns and `one_of` those; else `manifest_column_missing`."""
    missing = [f"the column `{name}`" for name in dict.fromkeys(wanted) if name not in table.columns]
    if one_of and not any(name in table.columns for name in one_of):
        missing.append("one of " + ", ".join(f"`{name}`" for name in one_of))
    if missing:
        there = ", ".join(name[:40] for name in table.columns) or "none"
        raise Invalid(
            f"{table.file} lacks {' and '.join(missing)}; it has {there} "
            f"(--columns ours=theirs says what they are called; {HEADER_HINT})",
            code="manifest_column_missing",
        )


def guess_scale(rows: Sequence[Row]) -> tuple[float, float]:
    """The smallest conventional scale that holds all affect labels. Raises `Invalid` (`scale_unknown`).

    >>> guess_scale([Row(2, "", affect={"valence": 1.0}), Row(3, "", affect={"valence": 4.5, "arousal": 2.0})])
    (1.0, 5.0)
    """
    values = [value for row in rows for value in row.affect.values()]
    least, most = min(values, default=0.0), max(values, default=0.0)
    for low, high in SCALES:
        if low <= least and most <= high:
            return low, high
    why = f"the labels lie between {least:g} and {most:g}, which fits no common scale: give --scale LOW,HIGH"
    raise Invalid(why, code="scale_unknown")


def rescale_rows(rows: Sequence[Row], scale: tuple[float, float]) -> tuple[list[Row], list[BadRow]]:
    """Affect labels moved from `scale` to [-1, 1]; rows with a label outside are bad."""
    low, high = scale
    kept: list[Row] = []
    bad: list[BadRow] = []
    for row in rows:
        if any(not low <= value <= high for value in row.affect.values()):
            bad.append(BadRow(row.line, f"a label lies outside the scale {low:g} to {high:g}", row.name))
        else:
            moved = {name: 2 * (value - low) / (high - low) - 1 for name, value in row.affect.items()}
            kept.append(replace(row, affect=moved))
    return kept, bad
