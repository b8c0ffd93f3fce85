"""`assistant evaluate mood` runs session files through the served readers and the fusion."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from assistant.cli import main
from assistant.demo.story import RECORDING
from assistant.emotion import EMOTIONS
from assistant.evaluate.tables.sessions import GAP_S, read_sessions

TURNS = (
    ("a", 1, "I just got the job, I am so happy!", "joy"),
    ("a", 2, "Thank you so much, this is wonderful.", "joy"),
    ("b", 2, "I miss her so much, I can't stop crying.", "sadness"),
    ("b", 1, "My grandmother died this morning.", "sadness"),
    ("c", 1, "How dare you lie to me, I am furious.", "anger"),
)


def write(folder: Path, rows: list[dict[str, Any]]) -> Path:
    file = folder / "sessions.csv"
    with file.open("w", newline="") as opened:
        writer = csv.DictWriter(opened, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    return file


def rows(*more: dict[str, Any]) -> list[dict[str, Any]]:
    names = ("session", "order", "text", "emotion")
    return [*(dict(zip(names, turn, strict=True)) for turn in TURNS), *more]


def measured(folder: Path, *args: str) -> tuple[int, dict[str, Any]]:
    out = folder / "out"
    code = main(["evaluate", "mood", "--data", str(folder / "sessions.csv"), "--out", str(out), *args])
    report = out / "report.json"
    return code, json.loads(report.read_text()) if code == 0 else {}


def test_sessions_of_messages_are_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, rows())
    code, report = measured(tmp_path, "--bootstrap", "20")
    assert code == 0
    assert (report["task"], report["n"], report["clusters"]) == ("mood", 5, 3)
    assert report["metrics"]["uar"]["value"] == 1
    assert set(report["compared"]) == {"without_history", "text_alone"}
    assert 0 <= report["sets"]["said"] <= 1
    assert report["model"]["name"] == "text"
    with (tmp_path / "out" / "predictions.csv").open() as file:
        told = list(csv.DictReader(file))
    assert [row["speaker"] for row in told] == ["a", "a", "b", "b", "c"]
    assert "without_history" in capsys.readouterr().out


def test_a_turn_may_have_a_voice_a_text_or_both(tmp_path: Path) -> None:
    said = {"session": "d", "order": 1, "text": "", "file": str(RECORDING), "emotion": "neutral"}
    write(tmp_path, rows(said, {**said, "order": 2, "text": "It is all right."}))
    code, report = measured(tmp_path, "--bootstrap", "0")
    assert code == 0
    assert report["n"] == 7
    assert set(report["compared"]) == {"without_history", "text_alone", "voice_alone"}
    assert set(report["model"]["sha256"]) == {"text", "voice"}


def test_turns_come_in_their_order_with_their_times_or_a_gap_between(tmp_path: Path) -> None:
    file = write(tmp_path, rows({"session": "c", "order": 2, "text": "Go.", "emotion": "anger", "at_s": 42}))
    _, found = read_sessions(file, allowed=EMOTIONS, label_map={})
    assert [(one.row.speaker, one.row.text[:2], one.at_s) for one in found] == [
        ("a", "I ", 0.0),
        ("a", "Th", GAP_S),
        ("b", "My", 0.0),
        ("b", "I ", GAP_S),
        ("c", "Ho", 0.0),
        ("c", "Go", 42.0),
    ]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"session": "", "order": 1, "text": "x", "emotion": "joy"}, "no session or no order"),
        ({"session": "x", "order": "", "text": "x", "emotion": "joy"}, "no session or no order"),
        ({"session": "x", "order": "first", "text": "x", "emotion": "joy"}, "order is not a number"),
        ({"session": "x", "order": 1, "text": " ", "emotion": "joy"}, "neither a text nor a file"),
        ({"session": "x", "order": 1, "text": "x", "file": "none.wav", "emotion": "joy"}, "there is no file"),
        ({"session": "x", "order": 1, "text": "x", "emotion": "glee"}, "unknown label"),
        ({"session": "x", "order": 1, "text": "x", "emotion": ""}, "no label"),
    ],
)
def test_a_row_that_cannot_be_scored_is_named_with_its_reason(
    tmp_path: Path, row: dict[str, Any], reason: str
) -> None:
    manifest, found = read_sessions(write(tmp_path, rows(row)), allowed=EMOTIONS, label_map={})
    assert len(found) == len(TURNS)
    assert [bad.line for bad in manifest.bad] == [len(TURNS) + 2]
    assert reason in manifest.bad[0].reason


def test_a_label_map_translates_and_leaves_out(tmp_path: Path) -> None:
    file = write(tmp_path, rows({"session": "x", "order": 1, "text": "x", "emotion": "bored"}))
    manifest, found = read_sessions(file, allowed=EMOTIONS, label_map={"bored": None, "joy": "surprise"})
    assert manifest.left_out == 1
    assert [one.row.labels for one in found[:2]] == [("surprise",), ("surprise",)]


@pytest.mark.parametrize("lost", ["session", "order", "emotion", "text"])
def test_a_missing_column_is_named(tmp_path: Path, lost: str, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, [{name: value for name, value in row.items() if name != lost} for row in rows()])
    assert measured(tmp_path) == (2, {})
    assert f"`{lost}`" in capsys.readouterr().err


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert measured(tmp_path) == (2, {})
    assert "file_missing" in capsys.readouterr().err
