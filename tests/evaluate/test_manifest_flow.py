"""What the researcher's table does to a whole run: names, bad rows, strictness, leakage."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from assistant.errors import Conflict, Invalid
from assistant.evaluate.command import RunOptions, configure, evaluate
from assistant.evaluate.command_line import make_options
from assistant.evaluate.report.files import BAD_ROWS, report_bad_rows
from assistant.evaluate.tables.manifest import BadRow
from tests.evaluate.graphs import MAP, loudness_graph, saved, voice_card


def loud(file: Path, level: float, seed: int = 0) -> None:
    """Noise of a second with this mean absolute value: loud is joy to the model, quiet anger."""
    noise = np.random.default_rng(seed).uniform(-2 * level, 2 * level, 16_000)
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, noise, 16_000, subtype="PCM_16")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four clips of two people, a list of them, and a model."""
    saved(tmp_path / "model", loudness_graph(("batch", "samples")), voice_card(MAP))
    lines = ["path,who,felt"]
    for at, level in enumerate((0.1, 0.3, 0.1, 0.3)):
        loud(tmp_path / f"{at}.wav", level, at)
        lines.append(f"{at}.wav,p{at // 2},{'glad' if level > 0.2 else 'anger'}")
    (tmp_path / "d.csv").write_text("\n".join(lines) + "\n")
    (tmp_path / "map.json").write_text('{"glad": "joy"}')
    return tmp_path


COLUMNS = [("file", "path"), ("speaker", "who"), ("emotion", "felt")]


def run(folder: Path, expected: int = 0, **options: Any) -> dict[str, Any]:
    """The report."""
    asked: dict[str, Any] = {"columns": COLUMNS, "label_map": folder / "map.json", "bootstrap": 20, **options}
    data = asked.pop("data", folder / "d.csv")
    assert evaluate(RunOptions("voice", data, model=folder / "model", out=folder / "out", **asked)) == expected
    found: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())
    return found


def all_bad(folder: Path) -> list[list[str]]:
    with (folder / "out" / BAD_ROWS).open(newline="") as file:
        return list(csv.reader(file))


def test_their_columns_are_ours_and_the_report_says_so(folder: Path) -> None:
    report = run(folder)
    assert report["n"] == 4
    assert report["clusters"] == 2
    assert report["metrics"]["uar"]["value"] == 1.0
    assert report["options"]["columns"] == [list(pair) for pair in COLUMNS]
    assert not (folder / "out" / BAD_ROWS).exists()


def test_all_bad_rows_stand_in_a_file_and_a_better_run_takes_it_away(folder: Path, capsys: Any) -> None:
    table = (folder / "d.csv").read_text()
    (folder / "noise.wav").write_bytes(b"no audio")
    broken = "gone.wav,p0,glad\nnoise.wav,p0,glad\n0.wav,p0,shy\n0.wav,p0,shy\nshort\n"
    (folder / "d.csv").write_text(table + broken)
    report = run(folder)
    header, *rows = all_bad(folder)
    assert header == ["manifest", "line", "file", "reason"]
    assert [(row[1], row[2]) for row in rows] == [
        ("6", "gone.wav"), ("7", "noise.wav"), ("8", "0.wav"), ("9", "0.wav"), ("10", "")
    ]  # fmt: skip
    assert report["bad_rows"]["count"] == 5
    assert report["n"] == 4
    told = "1 label is not mapped: 'shy' (2)"
    assert told in capsys.readouterr().err
    assert any(told in note for note in report["notes"])
    (folder / "d.csv").write_text(table)
    run(folder)
    assert not (folder / "out" / BAD_ROWS).exists()


@pytest.mark.parametrize(
    ("row", "code"),
    [("gone.wav,p0,glad", "row_invalid"), ("0.wav,p0,shy", "label_unmapped"), ("noise.wav,p0,glad", "row_invalid")],
)
def test_strict_stops_at_what_is_bad(row: str, code: str, folder: Path) -> None:
    (folder / "noise.wav").write_bytes(b"no audio")
    with (folder / "d.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(Invalid) as raised:
        run(folder, strict=True)
    assert raised.value.code == code
    assert not (folder / "out" / "report.json").exists()
    assert run(folder)["bad_rows"]["count"] == 1


def test_strict_leaves_a_good_table_alone(folder: Path) -> None:
    assert run(folder, strict=True)["n"] == 4


def test_copies_and_speakers_of_the_training_are_reported(folder: Path) -> None:
    trained = folder / "training"
    samples, _ = soundfile.read(folder / "1.wav")
    trained.mkdir()
    soundfile.write(trained / "copy.flac", samples * 0.25, 16_000)
    loud(trained / "other.wav", 0.2, seed=99)
    (trained / "t.csv").write_text("path,who\ncopy.flac,p1\nother.wav,q\ngone.wav,p0\n")
    found = run(folder, against=trained / "t.csv")["leakage"]
    assert found["against"] == "t.csv"
    assert found["speakers"] == {"shared": 2, "of": 2, "first": ["p0", "p1"]}
    assert found["audio"]["shared"] == 1
    assert found["audio"]["first"] == [{"ours": "1.wav", "theirs": "copy.flac"}]
    assert found["verdict"] == (
        "leakage found: 1 of 4 recordings is a copy, and 2 speakers have the same name; "
        "1 recording could not be read"
    )


def test_the_options_are_understood_and_explained(capsys: Any) -> None:
    parser = argparse.ArgumentParser()
    configure(parser)
    given = ["voice", "--data", "x", "--columns", "file=path,speaker=who", "--columns", r"group=path:(\d{1,2})"]
    args = parser.parse_args([*given, "--strict", "--table", "t", "--against", "y.csv"])
    assert args.columns == [("file", "path"), ("speaker", "who"), ("group", r"path:(\d{1,2})")]
    assert (args.strict, args.table, args.against) == (True, "t", Path("y.csv"))
    with pytest.raises(SystemExit):
        parser.parse_args(["voice", "--data", "x", "--columns", "file"])
    with pytest.raises(SystemExit):
        parser.parse_args(["text", "--help"])
    assert "audformat" in capsys.readouterr().out


def test_bad_rows_are_sorted_and_hostile_names_are_quoted(tmp_path: Path) -> None:
    report_bad_rows(tmp_path, tmp_path / "d.csv", [BadRow(9, "why", name='a"\n,b'), BadRow(2, "because")])
    with (tmp_path / BAD_ROWS).open(newline="") as file:
        assert list(csv.reader(file))[1:] == [["d.csv", "2", "", "because"], ["d.csv", "9", 'a"\n,b', "why"]]


def test_parts_and_channels_of_files_are_measured_as_the_table_tells(folder: Path, capsys: Any) -> None:
    quiet, loud_ = np.full(16_000, 0.1), np.full(16_000, 0.3)
    sides = np.stack([np.concatenate([quiet, loud_]), np.concatenate([loud_, quiet])], axis=1)
    soundfile.write(folder / "call.wav", sides, 16_000)
    rows = ["call.wav;0;1;anna;anger", "call.wav;0 days 00:00:01;NaT;anna;glad", "call.wav;1,5;2,5;bert;glad"]
    (folder / "s.csv").write_text("\n".join(["path;start;end;who;felt", *rows]) + "\n")
    options: dict[str, Any] = {"data": folder / "s.csv"}
    report = run(folder, **options, channel=1)
    assert (report["n"], report["metrics"]["uar"]["value"]) == (2, 1.0)
    assert "reaches beyond call.wav, which ends at 2.000 s" in all_bad(folder)[1][3]
    assert any("`start` and `end`" in note for note in report["notes"])
    assert "`start` and `end`" in capsys.readouterr().err
    assert run(folder, **options, channel=2)["metrics"]["uar"]["value"] == 0.0
    with pytest.raises(Conflict, match="a different form"):
        run(folder, **options, channel=1, resume=True)
    assert run(folder, **options, whole_files=True)["n"] == 3


def test_the_options_of_a_table_are_understood() -> None:
    parser = argparse.ArgumentParser()
    configure(parser)
    given = ["--separator", "semicolon", "--header", "file,emotion", "--decimal", "comma"]
    for modality in ("voice", "mood"):
        args = parser.parse_args([modality, "--data", "x", *given, "--channel", "right", "--whole-files"])
        assert (args.separator, args.header, args.decimal) == ("semicolon", ("file", "emotion"), "comma")
        assert (args.channel, args.whole_files) == (2, True)
    assert make_options(RunOptions, parser.parse_args(["text", "--data", "x", *given])).form.header
    with pytest.raises(SystemExit):
        parser.parse_args(["voice", "--data", "x", "--channel", "0"])
