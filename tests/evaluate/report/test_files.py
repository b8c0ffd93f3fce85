"""What a run writes: the same twice, with its origin told, and nothing that is not asked for."""

from __future__ import annotations

import copy
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from assistant.config import shipped_models
from assistant.errors import Unavailable
from assistant.evaluate.report import files
from assistant.evaluate.report.conversion import make_schema, read_report, to_plain, to_struct
from assistant.evaluate.report.provenance import describe_model, describe_run, hash_file
from assistant.evaluate.report.report import File, Report
from assistant.inference.card import read_card
from tests.evaluate.report.reports import (
    full_report,
)
from tests.evaluate.report.runs import READING, VARYING, a_table, card_of, evaluated, page_of


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    rest = copy.deepcopy(report)
    del rest["provenance"]["when"], rest["seconds"]
    rest.pop("cost", None)
    return rest


def same_but_for_times(first: dict[str, str], second: dict[str, str]) -> None:
    assert first["predictions.csv"] == second["predictions.csv"]
    reports = [json.loads(files["report.json"]) for files in (first, second)]
    assert json.dumps(without_times(reports[0])) == json.dumps(without_times(reports[1]))
    pages = [VARYING.sub("", files["report.html"]) for files in (first, second)]
    assert pages[0] == pages[1]
    cards = [re.sub(r"Measured on .*", "", files["card.md"]) for files in (first, second)]
    assert cards[0] == cards[1]


def test_sessions_have_a_page_and_a_card_too(tmp_path: Path) -> None:
    file = tmp_path / "sessions.csv"
    file.write_text("session,order,text,emotion\na,1,I am so happy,joy\na,2,I hate it,anger\nb,1,So sad,sadness\n")
    files = evaluated(tmp_path / "out", "mood", "--data", str(file))
    jsonschema.validate(json.loads(files["report.json"]), make_schema())
    assert "Mood over sessions" in files["report.html"]
    assert "Mood over sessions" in files["card.md"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_recommendations_have_a_page_and_a_card_too(data: Path, tmp_path: Path) -> None:
    files = evaluated(tmp_path / "out", "recommend", "--data", str(data / "recsys" / "situnes"))
    jsonschema.validate(json.loads(files["report.json"]), make_schema())
    assert "AUC with situation" in files["report.html"]
    assert "AUC with situation" in files["card.md"]


def test_two_runs_over_texts_differ_in_their_times_alone(tmp_path: Path) -> None:
    data = a_table(tmp_path)
    first, second = (evaluated(tmp_path / "out", "text", "--data", str(data)) for _ in range(2))
    same_but_for_times(first, second)


def test_two_runs_over_speech_differ_in_their_times_alone(tmp_path: Path) -> None:
    data = tmp_path / "clips.csv"
    rows = [f"{READING},{'ab'[at % 2]},{name},{at},{at + 2}" for at, name in enumerate(("joy", "neutral", "joy"))]
    data.write_text("\n".join(["file,speaker,emotion,trim_start_s,trim_end_s", *rows]) + "\n")
    first, second = (evaluated(tmp_path / "out", "voice", "--data", str(data)) for _ in range(2))
    same_but_for_times(first, second)


def test_page_and_card_are_made_from_the_report_alone(tmp_path: Path) -> None:
    files = evaluated(tmp_path / "out", "text", "--data", str(a_table(tmp_path)))
    report = json.loads(files["report.json"])
    assert page_of(report) == files["report.html"]
    assert card_of(report) == files["card.md"]


@pytest.mark.slow
def test_the_exact_command_is_told(tmp_path: Path) -> None:
    data = a_table(tmp_path)
    typed = ["evaluate", "text", "--data", str(data), "--out", str(tmp_path / "my out"), "--bootstrap", "5"]
    subprocess.run([sys.executable, "-m", "assistant", *typed], check=True, capture_output=True, timeout=100)
    report = json.loads((tmp_path / "my out" / "report.json").read_text())
    assert report["provenance"]["command"] == ["assistant", *typed]
    assert shlex.join(["assistant", *typed]) in (tmp_path / "my out" / "card.md").read_text()


def test_hashes_tell_what_was_read(tmp_path: Path) -> None:
    data, mapped = a_table(tmp_path), tmp_path / "map.json"
    mapped.write_text("{}")
    told = describe_run(data, seed=7, label_map=mapped, command=["assistant"])
    assert told.data == File(f"{tmp_path.name}/texts.csv", hash_file(data))
    assert told.label_map == File("map.json", hash_file(mapped))
    assert told.seed == 7
    assert {"numpy", "onnxruntime"} <= set(told.versions)
    assert str(tmp_path) not in json.dumps(to_plain(told))
    before = hash_file(data)
    data.write_text(data.read_text() + "more,joy\n")
    assert hash_file(data) != before


def test_a_folder_has_a_hash_of_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "db.yaml").write_text("name: mine")
    before = hash_file(tmp_path)
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").write_bytes(b"x")
    assert hash_file(tmp_path) == before
    (tmp_path / "table.csv").write_text("file")
    assert hash_file(tmp_path) != before
    assert hash_file(tmp_path / "nothing") == ""


def test_a_model_is_told_by_its_hash_licence_and_training_data() -> None:
    card = read_card(shipped_models() / "voice")
    told = describe_model(card)
    assert told.sha256 == card.sha256
    assert told.licence == card.licence
    assert told.training_data
    assert {"name", "licence"} <= set(to_plain(told.training_data[0]))
    json.dumps(to_plain(told))


def test_a_file_name_that_is_no_utf8_is_written_as_an_escape(tmp_path: Path) -> None:
    report = full_report()
    report["options"]["data"] = "caf\udce9.csv"
    files.write_report(to_struct(report, Report), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["options"]["data"] == "caf\udce9.csv"
    assert read_report(tmp_path / "report.json").options["data"] == "caf\udce9.csv"
    assert "caf\\udce9.csv" in (tmp_path / "report.html").read_text()


def test_numbers_that_are_not_numbers_are_null(tmp_path: Path) -> None:
    report = full_report()
    report["metrics"]["uar"] = {"value": float("nan"), "low": float("inf"), "high": 1.0}
    files.write_report(msgspec.convert(report, Report), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["metrics"]["uar"]["value"] is None
    assert to_plain(report["metrics"])["uar"] == {"value": None, "low": None, "high": 1.0}


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".report.json.part").mkdir()
    with pytest.raises(Unavailable) as raised:
        files.write_report(to_struct(full_report(), Report), tmp_path / "out")
    assert raised.value.code == "out_unwritable"


def test_texts_are_on_neither_page_nor_card(tmp_path: Path) -> None:
    files = evaluated(tmp_path / "out", "text", "--data", str(a_table(tmp_path)), "--with-text")
    assert "wonderful present" in files["predictions.csv"]
    assert "wonderful present" not in files["report.html"] + files["card.md"] + files["report.json"]
