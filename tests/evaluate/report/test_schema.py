"""The form of `report.json`: its schema, and reports that are read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from assistant.cli import main
from assistant.evaluate.report.conversion import make_schema, read_report, to_plain
from assistant.evaluate.report.glossary import choose_headline, get_metric
from tests.evaluate.report.reports import (
    full_report,
    hostile_report,
)
from tests.evaluate.report.runs import EVERY, TEXTS, Tags, a_table, evaluated


def test_the_schema_is_a_schema_and_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(make_schema())
    assert main(["evaluate", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == make_schema()


@pytest.mark.parametrize("made", EVERY)
def test_reports_fit_the_schema(made: Any) -> None:
    jsonschema.validate(made(), make_schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "attune-evaluation/2"),
        ("n", -1),
        ("metrics", {"uar": 0.5}),
        ("metrics", {"uar": {"value": 0.5}}),
        ("model", {"name": "voice"}),
        ("abstained", {"empty": "two"}),
        ("gaps", [{"column": "gender", "metric": "uar", "verdict": "unfair"}]),
        ("provenance", {}),
    ],
)
def test_what_is_not_a_report_does_not_fit_the_schema(key: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(full_report() | {key: value}, make_schema())


@pytest.mark.parametrize("made", [*EVERY, hostile_report])
def test_a_report_that_was_written_is_read_without_loss(made: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(made()), encoding="utf-8")
    assert to_plain(read_report(file)) == to_plain(made())


def test_a_report_of_an_older_version_may_lack_members(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text('{"task": "stress", "n": 3, "metrics": {}, "model": {"name": "text"}}', encoding="utf-8")
    report = read_report(file)
    assert (report.task, report.groups, report.seconds) == ("stress", {}, 0)


def test_every_key_of_a_full_report_is_in_the_schema() -> None:
    assert set(full_report()) <= set(make_schema()["properties"])


@pytest.mark.parametrize("task", ["emotion", "sentiment", "stress", "labels", "affect"])
def test_what_a_run_writes_fits_the_schema(task: str, tmp_path: Path) -> None:
    labels = {
        "sentiment": ("positive", "negative", "negative"),
        "stress": ("0", "1", "1"),
        "labels": ("joy|love", "anger", ""),
        "affect": ("0.5", "-0.5", "-0.9"),
    }.get(task, ("joy", "anger", "sadness"))
    column = "valence" if task == "affect" else task
    rows = tuple((text, labels[at % 3]) for at, (text, _) in enumerate(TEXTS))
    files = evaluated(tmp_path / "out", "text", "--data", str(a_table(tmp_path, rows, column)), "--task", task)
    report = json.loads(files["report.json"])
    jsonschema.validate(report, make_schema())
    assert not Tags(files["report.html"]).unbalanced
    assert get_metric(choose_headline(task, report["metrics"])[0]).name in files["report.html"]
