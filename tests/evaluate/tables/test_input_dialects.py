"""Separators, decimals, thousands, files without a header, and labels in lists."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from assistant.errors import Invalid
from assistant.evaluate.tables.form import TableForm
from assistant.evaluate.tables.labels import read_label_map
from assistant.evaluate.tables.manifest import Manifest, read_manifest
from assistant.evaluate.tables.numbers import parse_number

FINE = ("admiration", "anger", "joy", "love", "neutral", "sadness")


def written(folder: Path, content: str | bytes, name: str = "d.csv") -> Path:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def read(file: Path, task: Any = "labels", **options: Any) -> Manifest:
    allowed = ("valence",) if task == "affect" else FINE
    form = TableForm(**{name: options.pop(name) for name in list(options) if hasattr(TableForm(), name)})
    return read_manifest(file, "text", task, allowed=allowed, form=form, **options)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("text;speaker;valence\nhello, you;x;0,5\n", "d.csv"),
        ("text;valence\n\"a;b, c\";'0,5'\n".replace("'", ""), "d.csv"),
        ("text\tvalence\nhello, you\t0,5\n", "d.csv"),
        ("text\tvalence\nhello; you\t0.5\n", "d.tsv"),
        ("text|valence\nhello, you|,5\n", "d.csv"),
        ('text,valence\nhello,"0,5"\n', "d.csv"),
        ("text,valence\nhello; you,0.5\n", "d.tsv"),
        ("\ufefftext;valence\r\nhello, you;0,50\r\n", "d.csv"),
        ('"text, all of it";valence\nhello, you;+0,5\n'.replace("text, all of it", "text"), "d.csv"),
        ("text\tvalence\r\nGrüße, ihr\t0,5\r\n".encode("utf-16"), "d.csv"),
        ("text;note, free;valence\na;b;0,5\nc, c;d;0,5\n", "d.csv"),
    ],
)
def test_separators_and_decimals_are_found_out(content: str | bytes, name: str, tmp_path: Path) -> None:
    manifest = read(written(tmp_path, content, name), "affect")
    assert not manifest.bad
    assert {row.affect["valence"] for row in manifest.rows} == {0.5}


def test_a_header_that_two_separators_fit_needs_an_option(tmp_path: Path) -> None:
    file = written(tmp_path, "text;a,valence\nx;y,0.5\n")
    with pytest.raises(Invalid, match="comma or semicolon: say which with --separator") as raised:
        read(file, "affect")
    assert raised.value.code == "manifest_unreadable"
    file = written(tmp_path, "text,id;valence\nx,y;0.5\n")
    assert read(file, "affect", separator="semicolon", columns={"text": "text,id"}).rows[0].text == "x,y"
    with pytest.raises(Invalid, match="are for CSV and TSV"):
        read(written(tmp_path, "[]", "d.json"), separator="tab")


def test_a_number_that_may_be_two_needs_an_option(tmp_path: Path) -> None:
    file = written(tmp_path, "text;valence\na;1,234\nb;0,5\n")
    manifest = read(file, "affect")
    assert [row.text for row in manifest.rows] == ["b"]
    assert "--decimal comma or --decimal point" in manifest.bad[0].reason
    assert [row.affect["valence"] for row in read(file, "affect", decimal="comma").rows] == [1.234, 0.5]
    pointed = read(file, "affect", decimal="point")
    assert pointed.rows[0].affect["valence"] == 1234
    assert "not a number" in pointed.bad[0].reason


def test_commas_and_points_in_one_table_need_an_option(tmp_path: Path) -> None:
    file = written(tmp_path, "text;valence\na;1.234\nb;0,5\n")
    with pytest.raises(Invalid, match="--decimal comma or --decimal point") as raised:
        read(file, "affect")
    assert raised.value.code == "manifest_unreadable"
    assert [row.affect["valence"] for row in read(file, "affect", decimal="comma").rows] == [1234, 0.5]


@pytest.mark.parametrize(
    ("number", "value"),
    [
        ("1.234,5", 1234.5), ("1,234.5", 1234.5), ("1\u00a0234,5", 1234.5), ("1\u202f234.5", 1234.5),
        ("1'234.5", 1234.5), ("1 234 567", 1_234_567), ("1,234,567", 1_234_567), ("\u22120,5", -0.5),
        ("-,5", -0.5), ("0,125", 0.125), ("-0.25", -0.25), ("1e2", 100), ("12,34", 12.34), ("3.", 3),
    ],
)  # fmt: skip
def test_numbers_as_the_world_writes_them(number: str, value: float) -> None:
    assert parse_number(number) == value


@pytest.mark.parametrize(
    "number",
    ["", "one", "inf", "nan", "1_000", "0x10", "1,2,3", "1.2.3", "1,23.4", "12 34", "0,5,", "--1", "1e999", "½"],
)
def test_what_is_no_number_is_told(number: str) -> None:
    with pytest.raises(ValueError, match="not a number"):
        parse_number(number)


def test_goemotions_is_read_as_it_is_published(tmp_path: Path) -> None:
    file = written(
        tmp_path, 'My favourite food is "anything".\t4\teebbqej\nWell done, mate\t0,2\ted00q6i\n', "train.tsv"
    )
    names = written(tmp_path, "\n".join(FINE) + "\n", "emotions.txt")
    with pytest.raises(Invalid, match="--header text,labels,id"):
        read(file)
    header = ("text", "labels", "id")
    plain = read(file, header=header)
    assert "a text file of names, one a line" in plain.bad[0].reason
    manifest = read(file, header=header, label_map=read_label_map(names, FINE))
    assert [(row.line, row.name, row.labels) for row in manifest.rows] == [
        (1, "eebbqej", ("neutral",)),
        (2, "ed00q6i", ("admiration", "joy")),
    ]
    assert manifest.rows[0].text == 'My favourite food is "anything".'


def test_a_column_for_each_label_is_read_too(tmp_path: Path) -> None:
    rows = ["text,id,Joy,love,anger,other", "a,1,1,0,0,5", "b,2,1,1.0,,5", "c,3,0,False,0,5", "d,4,0,2,0,5"]
    manifest = read(written(tmp_path, "\n".join(rows) + "\n"))
    assert [row.labels for row in manifest.rows] == [("joy",), ("joy", "love"), ()]
    assert "`love` is of a label and neither 0 nor 1: '2'" in manifest.bad[0].reason
    assert manifest.notes == ("the labels are taken from 3 columns of 0 and 1: joy, love, anger",)
    with pytest.raises(Invalid, match="lacks the column `labels`"):
        read(written(tmp_path, "text,joy\na,1\n"))


def test_a_file_without_a_header_may_hold_equal_cells(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="--header text,labels,id"):
        read(written(tmp_path, "a,a,b\n"))
    found = read(written(tmp_path, "a,joy,joy\nb, c;d,joy,x\n"), header=("text", "labels", "id"))
    assert [row.text for row in found.rows] == ["a"]
    assert found.bad[0].line == 2


@pytest.mark.parametrize(
    "cell",
    ["['joy', 'love']", '["joy","love"]', "joy|love", "joy;love", "joy, love", "['joy' 'love']", "('joy', 'love')",
     "{'joy', 'love'}", "[joy, love]", "Joy |Love", "['joy'\n 'love']", "2,3", "[2, 3]", "[2 3]", "2;3"],
)  # fmt: skip
def test_labels_in_lists_are_labels(cell: str, tmp_path: Path) -> None:
    quoted = cell.replace('"', '""')
    file = written(tmp_path, f'text,labels\nhello,"{quoted}"\n')
    places = {str(place): name for place, name in enumerate(FINE)}
    manifest = read(file, label_map=places)
    assert not manifest.bad
    assert manifest.rows[0].labels == ("joy", "love")


@pytest.mark.parametrize("cell", ["", "[]", "()", "set()"])
def test_an_empty_list_has_no_labels(cell: str, tmp_path: Path) -> None:
    assert read(written(tmp_path, f"text,labels\nhello,{cell}\n")).rows[0].labels == ()


def test_of_classes_there_is_one(tmp_path: Path) -> None:
    file = written(tmp_path, "text;emotion\na;['joy']\nb;['joy', 'love']\nc;joy, love\n")
    manifest = read(file, "emotion", label_map={"joy, love": "anger"})
    assert [row.labels for row in manifest.rows] == [("joy",), ("anger",)]
    assert manifest.bad[0].reason == "2 labels, and emotion takes one"


def test_a_list_of_names_is_a_map_by_place(tmp_path: Path) -> None:
    listed = written(tmp_path, '["joy", null, "Anger"]', "names.json")
    assert read_label_map(listed, FINE) == {"0": "joy", "1": None, "2": "anger"}
    with pytest.raises(Invalid, match="names happiness"):
        read_label_map(written(tmp_path, "joy\nhappiness\n", "names.txt"), FINE)


def test_texts_that_are_not_read_to_their_end_are_told(tmp_path: Path) -> None:
    rows = [f"{'happy ' * 36_667},joy", "short,joy", f"{'x' * 20_000},joy", f"{'so sad ' * 3_000},joy"]
    manifest = read(written(tmp_path, "\n".join(["text,emotion", *rows]) + "\n"), "emotion")
    assert manifest.notes == (
        "2 texts are longer than 20,000 characters, and the rest is not read: line 2 (220,002), line 5 (21,000)",
    )
