"""Tables in every format say the same, and what can't be read is told with its line."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.errors import AssistantError, Invalid, Unavailable
from assistant.evaluate.extras import optional
from assistant.evaluate.tables.formats import read_cells
from assistant.evaluate.tables.manifest import (
    Manifest,
    Question,
    Row,
    open_table,
    read_labelled_rows,
    read_manifest,
)
from assistant.evaluate.tables.tables import open_plain_table, rename_columns

ROWS = [("one, two", "joy"), ("drei\nvier", "anger"), ("fünf|sechs", "joy")]


def written(file: Path) -> Path:
    """The same three rows in the format of the ending."""
    objects = [{"text": text, "emotion": emotion} for text, emotion in ROWS]
    lines = "\n".join(json.dumps(one, ensure_ascii=False) for one in objects) + "\n"
    quoted = ["text,emotion", '"one, two",joy', '"drei\nvier",anger', "fünf|sechs,joy"]
    match "".join(file.suffixes):
        case ".csv":
            file.write_text("\n".join(quoted))
        case ".tsv.gz":
            tabs = 'text\temotion\none, two\tjoy\n"drei\nvier"\tanger\nfünf|sechs\tjoy'
            file.write_bytes(gzip.compress(tabs.encode()))
        case ".jsonl" | ".ndjson":
            file.write_text(lines)
        case ".jsonl.gz":
            file.write_bytes(gzip.compress(lines.encode()))
        case ".json":
            file.write_text(json.dumps(objects))
        case ".parquet":
            pq.write_table(pa.Table.from_pylist(objects), file)
    return file


@pytest.mark.parametrize("ending", [".csv", ".tsv.gz", ".jsonl", ".ndjson", ".jsonl.gz", ".json", ".parquet"])
def test_every_format_gives_the_same_rows(ending: str, tmp_path: Path) -> None:
    manifest = read(written(tmp_path / f"d{ending}"))
    assert [(row.text, *row.labels) for row in manifest.rows] == ROWS
    assert not manifest.bad


def read(file: Path, **options: Any) -> Manifest:
    return read_manifest(file, "text", "emotion", allowed=("joy", "anger"), **options)


def test_json_values_become_cells(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    values = [{"labels": ["joy", "anger"], "stress": True}, {"stress": None, "more": 1.5}, {"labels": ["a|b"]}]
    file.write_text("\n".join(map(json.dumps, values)))
    header, *rows = read_cells(file)
    assert header[1] == ["labels", "stress", "more"]  # keys that come later are columns too
    assert rows[:2] == [(1, ["joy|anger", "1", ""]), (2, ["", "", "1.5"])]
    assert "contains a bar" in rows[2][1]


def test_lines_that_are_no_object_are_told_and_the_others_kept(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text('{"text": "a", "emotion": "joy"}\n\n{"text": \n[1]\n{"text": "b", "emotion": "joy"}\n')
    manifest = read(file)
    assert [row.line for row in manifest.rows] == [1, 5]
    assert [bad.line for bad in manifest.bad] == [3, 4]


def test_parquet_is_read_without_pandas_and_without_its_bytes(tmp_path: Path) -> None:
    file = tmp_path / "d.parquet"
    table = pa.table({
        "text": pa.array(["a", "b"]).dictionary_encode(),
        "emotion": ["joy", None],
        "labels": [["joy", "anger"], []],
        "audio": pa.array([{"bytes": b"x"}, {"bytes": b"y"}]),
        "start": pa.array([1_500_000_000, None], pa.duration("ns")),
        "day": pa.array([0, 1], pa.timestamp("ns")),
    })  # fmt: skip
    pq.write_table(table, file)
    script = (
        "import sys; from pathlib import Path; from assistant.evaluate.tables.formats import read_cells;"
        f"print(list(read_cells(Path({str(file)!r})))); print('pandas' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    rows, pandas = done.stdout.splitlines()
    assert pandas == "False"
    assert "['text', 'emotion', 'labels', 'start', 'day']" in rows
    assert "(1, ['a', 'joy', 'joy|anger', '1.5', '1970-01-01 00:00:00.000000000'])" in rows
    assert "(2, ['b', '', '', ''" in rows


def test_a_missing_extra_says_what_to_install() -> None:
    with pytest.raises(Unavailable, match=r"pip install '.\[research\]'") as raised:
        optional("no_such_library_at_all", "reading Parquet")
    assert raised.value.code == "extra_missing"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("d.parquet", b"PAR1 no"),
        ("d.json", b'{"a": '),
        ("d.json", b"3"),
        ("d.jsonl", b""),
        ("d.jsonl", b"\xff\xfe{}"),
        ("d.parquet.gz", b""),
        ("d.csv", b"a,a\n1,2\n"),
    ],
)
def test_what_is_no_table_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid) as raised:
        open_plain_table(tmp_path / name)
    assert raised.value.code == "manifest_unreadable"


def test_a_spreadsheets_semicolons_separate(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_text("text;emotion\na,b;joy\n")
    assert read(file).rows[0].text == "a,b"


def test_columns_may_have_other_names(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_text("said,label,group,name\nhello there,joy,x,s07_a.wav\n")
    columns = {"text": "said", "emotion": "Label", "speaker": r"name:s(\d+)_", "group": "name"}
    row = read(file, columns=columns).rows[0]
    assert (row.text, row.labels, row.speaker, row.group) == ("hello there", ("joy",), "07", "s07_a.wav")


@pytest.mark.parametrize(
    ("columns", "code", "said"),
    [
        ({"text": "words"}, "manifest_column_missing", "no column `words`; it has text, emotion"),
        ({"speaker": "text:("}, "columns_invalid", "is not a valid pattern"),
        ({"speaker": "text:a"}, "columns_invalid", "must have one group"),
    ],
)
def test_columns_that_are_not_there_are_refused(
    columns: dict[str, str], code: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(Invalid, match=said.replace("(", r"\(")) as raised:
        read(written(tmp_path / "d.csv"), columns=columns)
    assert raised.value.code == code


def test_further_columns_are_kept_where_they_are_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_text("text,emotion,corpus\na,joy,x\n")
    assert read(file, more=["corpus"]).rows[0].more == {"corpus": "x"}
    with pytest.raises(Invalid, match="`country`"):
        read(file, more=["country"])


def test_unknown_labels_are_counted_all_of_them(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    labels = ["joy", "shy", "shy", "bored", "shy"]
    file.write_text("text,emotion\n" + "".join(f"t,{label}\n" for label in labels))
    manifest = read(file)
    assert manifest.unmapped == {"shy": 3, "bored": 1}
    assert len(manifest.bad) == 4
    with pytest.raises(Invalid, match=r"2 labels are not mapped: 'shy' \(3\), 'bored' \(1\)") as raised:
        read(file, strict=True)
    assert raised.value.code == "label_unmapped"


def test_strict_names_the_first_bad_rows(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_text("text,emotion\n" + "t,joy,oh\n" * 12)
    with pytest.raises(Invalid, match="has 12 bad rows") as raised:
        read(file, strict=True)
    assert raised.value.code == "row_invalid"
    assert "line 11" in raised.value.message
    assert "and 2 more" in raised.value.message


def test_a_table_is_read_one_row_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "d.csv"
    file.write_text("text,emotion\n" + "".join(f"text {at},joy\n" for at in range(100_000)))
    rows = read_labelled_rows(open_table(file), Question("text", "emotion", ("joy",)))
    first = next(rows)
    assert isinstance(first, Row)
    assert first.text == "text 0"
    assert sum(1 for _ in rows) == 99_999


@given(st.binary(max_size=300), st.sampled_from([".csv", ".tsv", ".jsonl", ".json", ".csv.gz", ".parquet"]))
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path_factory: Any, content: bytes, ending: str) -> None:
    file = tmp_path_factory.mktemp("any") / f"d{ending}"
    file.write_bytes(content)
    refused = None
    rows: list[Any] = []
    try:
        rows = list(rename_columns(open_plain_table(file), {}).rows())
    except AssistantError as error:
        refused = error.code
    assert refused in (None, "manifest_unreadable")
    assert all(isinstance(cells, str) or all(isinstance(c, str) for c in cells.values()) for _, cells in rows)
