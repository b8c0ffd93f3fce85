"""`assistant evaluate compare`: a leaderboard over reports, on the rows that all models scored."""

from __future__ import annotations

import argparse
import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.evaluate.report import leaderboard
from assistant.evaluate.report.compare import CompareOptions, compare_reports, configure
from assistant.evaluate.report.conversion import to_plain

CLASSES = ("anger", "joy", "neutral")


def a_report(
    folder: Path,
    right: float,
    *,
    seed: int = 0,
    rows: int = 240,
    people: int = 12,
    task: str = "emotion",
    data: str | None = "a" * 64,
    abstain: str = "wrong",
    skip: tuple[int, ...] = (),
    silent: tuple[int, ...] = (),
    relabel: dict[int, str] | None = None,
) -> Path:
    """What evaluate leaves behind for a model that is right this often."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["line", "file", "speaker", "label", "prediction", *(f"p_{n}" for n in CLASSES), "abstained"])
        for row in range(rows):
            label = row % 3
            said = label if rng.random() < right else int(rng.integers(3))
            p = np.full(3, 0.2) + 0.4 * np.eye(3)[said]
            if row in skip:
                continue
            told = ["", "", "", "", "too_short"] if row in silent else [CLASSES[said], *map(str, p), ""]
            name = (relabel or {}).get(row, CLASSES[label])
            out.writerow([row + 2, f"{row}.flac", f"s{row % people}", name, *told])
    report: dict[str, Any] = {
        "task": task,
        "n": rows - len(skip),
        "metrics": {"uar": {"value": right, "low": None, "high": None}},
        "model": {"name": folder.name, "sha256": "0" * 64},
        "options": {"abstain": abstain},
        "provenance": {} if data is None else {"data": {"name": "clips.csv", "sha256": data}},
    }
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    return folder


def ranked(options: CompareOptions) -> dict[str, Any]:
    """The leaderboard as it is written."""
    found: dict[str, Any] = to_plain(compare_reports(options))
    return found


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    configure(parser)
    args = parser.parse_args([str(argument) for argument in arguments])
    return int(args.run(args))


def test_the_better_model_leads_and_the_difference_is_told_with_its_p(tmp_path: Path) -> None:
    worse, better = a_report(tmp_path / "plain", 0.4), a_report(tmp_path / "tuned", 0.9, seed=1)
    found = ranked(CompareOptions([worse, better], bootstrap=200))
    assert [(model["rank"], model["name"]) for model in found["models"]] == [(1, "tuned"), (2, "plain")]
    pair = next(pair for pair in found["pairs"] if pair["metric"] == "uar")
    assert (pair["first"], pair["second"]) == ("tuned", "plain")
    uar = {model["name"]: model["metrics"]["uar"]["value"] for model in found["models"]}
    assert pair["difference"]["value"] == pytest.approx(uar["tuned"] - uar["plain"], abs=2e-6)
    assert pair["difference"]["low"] > 0
    assert pair["p_holm"] < 0.01
    assert (found["n"], found["clusters"]) == (240, 12)


def test_figures_are_of_the_rows_that_all_models_scored(tmp_path: Path) -> None:
    one = a_report(tmp_path / "one", 1.0, skip=(0, 1, 2))
    other = a_report(tmp_path / "other", 1.0, skip=(3,), silent=(4,))
    found = ranked(CompareOptions([one, other], bootstrap=0))
    assert found["n"] == 236
    by_name = {model["name"]: model for model in found["models"]}
    assert by_name["one"]["metrics"]["accuracy"]["value"] == 1
    assert by_name["other"]["metrics"]["accuracy"]["value"] == pytest.approx(235 / 236, abs=1e-6)
    assert by_name["other"]["abstained"] == 1
    assert "236 rows were scored by all models" in found["notes"][0]


def test_where_abstentions_are_left_out_rows_count_that_all_answered(tmp_path: Path) -> None:
    one = a_report(tmp_path / "one", 1.0, silent=(0,), abstain="drop")
    other = a_report(tmp_path / "other", 1.0, silent=(1,), abstain="drop")
    assert ranked(CompareOptions([one, other], bootstrap=0))["n"] == 238


def test_several_pairs_are_corrected_for_their_number(tmp_path: Path) -> None:
    folders = [a_report(tmp_path / f"m{seed}", 0.6, seed=seed) for seed in range(4)]
    pairs = [pair for pair in ranked(CompareOptions(folders, bootstrap=0))["pairs"] if pair["metric"] == "uar"]
    assert len(pairs) == 6
    least = min(pairs, key=lambda pair: pair["p"])
    assert least["p_holm"] == pytest.approx(min(1, 6 * least["p"]), abs=1e-5)
    assert all(pair["p_holm"] >= pair["p"] for pair in pairs)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": "b" * 64}, "the data"),
        ({"task": "stress"}, "the task"),
        ({"abstain": "drop"}, "--abstain"),
        ({"relabel": {5: "joy", 6: "joy"}}, "--label-map"),
        ({"task": "situnes"}, "no rows"),
        ({"skip": tuple(range(240)), "rows": 241}, "no row"),
    ],
)
def test_what_cant_be_compared_is_refused_with_the_reason(
    change: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = a_report(tmp_path / "one", 0.5), a_report(tmp_path / "other", 0.5, **change)
    assert run(one, other) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "[not_comparable]" in error


def test_reports_without_a_hash_are_matched_by_their_rows_and_a_note_says_so(tmp_path: Path) -> None:
    one, other = a_report(tmp_path / "one", 0.5), a_report(tmp_path / "other", 0.5, data=None)
    assert any("no hash" in note for note in ranked(CompareOptions([one, other], bootstrap=0))["notes"])


@pytest.mark.parametrize("lost", ["report.json", "predictions.csv"])
def test_a_folder_that_is_no_report_says_what_to_do(
    lost: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = a_report(tmp_path / "one", 0.5), a_report(tmp_path / "other", 0.5)
    (other / lost).unlink()
    assert run(one, other) == 2
    assert "[report_missing]" in capsys.readouterr().err
    (other / lost).write_text("no such thing", encoding="utf-8")
    assert run(one, other) == 2
    assert "[report_invalid]" in capsys.readouterr().err


def test_one_folder_or_the_same_twice_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one = a_report(tmp_path / "one", 0.5)
    assert run(one) == 2
    assert run(one, tmp_path / "." / "one") == 2
    assert capsys.readouterr().err.count("[not_comparable]") == 2


def test_folders_of_one_name_are_told_by_their_paths_unless_named(tmp_path: Path) -> None:
    folders = [a_report(tmp_path / "a" / "out", 0.5), a_report(tmp_path / "b" / "out", 0.6)]
    told = {model["name"] for model in ranked(CompareOptions(folders, bootstrap=0))["models"]}
    assert told == {str(folder) for folder in folders}
    named = ranked(CompareOptions(folders, names=("plain", "tuned"), bootstrap=0))
    assert {model["name"] for model in named["models"]} == {"plain", "tuned"}


def test_few_clusters_are_called_insufficient_evidence(tmp_path: Path) -> None:
    folders = [a_report(tmp_path / "one", 0.2, people=4), a_report(tmp_path / "two", 0.9, people=4)]
    found = ranked(CompareOptions(folders, bootstrap=0))
    assert any("insufficient evidence" in note for note in found["notes"])
    assert all(pair["exact"] for pair in found["pairs"])
    assert min(pair["p"] for pair in found["pairs"]) == 2 / 16


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def test_all_files_are_written_twice_alike_and_hostile_names_stay_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = a_report(tmp_path / "one", 0.5), a_report(tmp_path / "other", 0.8)
    names = "<script>alert(1)</script> & 5 % | $x_1$,\\input{x}"
    for out in ("first", "second"):
        assert run(one, other, "--names", names, "--out", tmp_path / out, "--bootstrap", 100) == 0
    files = ["leaderboard.html", "leaderboard.json", "leaderboard.md", "leaderboard.tex"]
    assert sorted(file.name for file in (tmp_path / "first").iterdir()) == files
    for name in files:
        assert (tmp_path / "first" / name).read_bytes() == (tmp_path / "second" / name).read_bytes()
    page = Page()
    page.feed((tmp_path / "first" / "leaderboard.html").read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "<script>alert(1)</script>" in page.text
    tex = (tmp_path / "first" / "leaderboard.tex").read_text(encoding="utf-8")
    assert r"\textbackslash{}input\{x\}" in tex
    assert r"5 \% | \$x\_1\$" in tex
    rows = [line for line in tex.splitlines() if line.strip().endswith(r"\\")]
    assert len({len(re.findall(r"(?<!\\)&", row)) for row in rows}) == 1
    markdown = (tmp_path / "first" / "leaderboard.md").read_text(encoding="utf-8")
    assert r"\<script\>" in markdown
    assert "leaderboard.json, leaderboard.md" in capsys.readouterr().out


def test_a_terminal_sees_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(a_report(tmp_path / "one", 0.5), a_report(tmp_path / "two", 0.9), "--bootstrap", "50") == 0
    told = capsys.readouterr().out
    assert "UAR behind" in told
    assert re.search(r"^1 +two ", told, re.MULTILINE)
    assert not (tmp_path / "leaderboard.json").exists()


def test_an_out_that_cant_be_written_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = a_report(tmp_path / "one", 0.5), a_report(tmp_path / "two", 0.9)
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert run(one, other, "--out", tmp_path / "file", "--bootstrap", 0) == 2
    assert "[out_unwritable]" in capsys.readouterr().err


def test_affect_is_compared_by_concordance(tmp_path: Path) -> None:
    for name, noise in (("near", 0.1), ("far", 1.0)):
        folder = tmp_path / name
        folder.mkdir()
        rng = np.random.default_rng(len(name))
        with (folder / "predictions.csv").open("w", encoding="utf-8") as file:
            file.write("line,file,speaker,label_valence,mean_valence,deviation_valence,abstained\n")
            for row in range(200):
                label = np.sin(row)
                said = "" if row == 7 else f"{label + rng.normal(0, noise):.6f}"
                file.write(
                    f"{row + 2},{row}.wav,s{row % 10},{label:.6f},{said},{said and 0.3},{'' if said else 'x'}\n"
                )
        report = {"task": "affect", "n": 200, "metrics": {}, "model": {"name": name}, "options": {}}
        (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    found = ranked(CompareOptions([tmp_path / "far", tmp_path / "near"], bootstrap=100))
    assert found["models"][0]["name"] == "near"
    assert found["headline"] == ["ccc_valence"]
    assert found["pairs"][0]["p"] < 0.01
    assert found["schema"] == leaderboard.SCHEMA
