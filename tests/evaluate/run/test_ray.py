"""The same answers from a Ray cluster of two worker processes as from this process, to the last bit."""

from __future__ import annotations

import csv
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import assistant.demo
from assistant import __version__
from assistant.config import shipped_models
from assistant.errors import ModelInvalid, Unavailable
from assistant.evaluate.run.journal import pack_rows
from assistant.evaluate.run.outcomes import unpack_outcomes
from assistant.evaluate.run.ray_engine import ModelPlace, Worker
from assistant.evaluate.tables.manifest import Row
from assistant.inference.card import read_card

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray isn't installed (extra `ray`)")


def clips(folder: Path, count: int) -> Path:
    """Stretches of a recording, some in another format, one too short, and one that is no audio at all."""
    speech, rate = soundfile.read(Path(assistant.demo.__file__).parent / "reading.flac", dtype="float32")
    random = np.random.default_rng(0)
    data = folder / "clips.csv"
    with data.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "speaker", "emotion"])
        for number in range(count):
            length = int(rate * (0.2 if number == 3 else random.uniform(0.6, 3.2)))
            start = int(random.integers(len(speech) - length))
            name = f"{number}.flac" if number % 3 else f"{number}.ogg"
            soundfile.write(folder / name, speech[start : start + length], rate)
            table.writerow([name, f"s{number % 5}", ("joy", "anger", "neutral")[number % 3]])
    (folder / "5.flac").write_bytes(b"no audio at all")
    return data


def evaluated(data: Path, out: str, *more: str) -> tuple[dict[str, Any], bytes]:
    """The report without what differs between any two runs, and the predictions."""
    # relative names, as people type them: workers have other working directories
    command = [sys.executable, "-m", "assistant", "evaluate", "voice", "--data", data.name, "--out", out]
    done = subprocess.run(
        [*command, "--bootstrap=50", *more],
        cwd=data.parent,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads((data.parent / out / "report.json").read_text())
    for name in ("seconds", "cost", "provenance"):
        report.pop(name, None)
    report["options"].pop("out")
    return report, (data.parent / out / "predictions.csv").read_bytes()


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(500)
def test_two_worker_processes_of_a_cluster_give_what_one_process_gives(tmp_path: Path) -> None:
    data = clips(tmp_path, 45)
    here = evaluated(data, "here")
    there = evaluated(data, "there", "--engine", "ray", "--workers", "2")
    assert here[0]["n"] == 44
    assert here[0]["bad_rows"]["count"] == 1
    assert there == here


@needs_ray
@pytest.mark.slow
@pytest.mark.timeout(500)
def test_a_run_that_began_here_goes_on_in_a_cluster(tmp_path: Path) -> None:
    data = clips(tmp_path, 30)
    whole = evaluated(data, "whole")
    evaluated(data, "cut")
    journal = tmp_path / "cut" / "run.journal"
    journal.write_bytes(journal.read_bytes()[: journal.stat().st_size // 2])
    assert evaluated(data, "cut", "--engine", "ray", "--resume") == whole


def test_a_cluster_without_ray_is_refused_with_the_extra_that_brings_it(tmp_path: Path) -> None:
    blocked = "import sys; sys.modules['ray'] = None; from assistant.cli import main; sys.exit(main(sys.argv[1:]))"
    data = clips(tmp_path, 6)
    arguments = ["evaluate", "voice", "--data", str(data), "--out", str(tmp_path / "out"), "--engine", "ray"]
    done = subprocess.run(
        [sys.executable, "-c", blocked, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "pip install 'attune[ray]'" in done.stderr
    assert "[extra_missing]" in done.stderr


def test_a_worker_reads_a_piece_as_bytes(tmp_path: Path) -> None:
    clips(tmp_path, 4)
    folder = shipped_models() / "voice"
    worker = Worker(
        __version__,
        "voice",
        ModelPlace.from_folder(folder),
        ModelPlace.from_folder(shipped_models() / "stem"),
        None,
    )
    rows = [
        Row(2, "1.flac", tmp_path / "1.flac"),
        Row(3, "3.ogg", tmp_path / "3.ogg"),
        Row(4, "gone", tmp_path / "x"),
    ]
    answer = worker({"number": 7, "rows": pack_rows(rows)})
    read, short, gone = unpack_outcomes(answer["met"], read_card(folder))
    assert answer["number"] == 7
    assert read.scores is not None or read.abstained is not None
    assert short.abstained == "too_short"
    assert gone.bad is not None


def test_a_worker_with_another_version_or_another_model_refuses_to_read() -> None:
    folder = shipped_models() / "voice"
    place, stem = ModelPlace.from_folder(folder), ModelPlace.from_folder(shipped_models() / "stem")
    with pytest.raises(Unavailable) as raised:
        Worker("0.0.0", "voice", place, stem, None)
    assert raised.value.code == "version_other"
    with pytest.raises(ModelInvalid, match="a different model"):
        Worker(__version__, "voice", ModelPlace(place.folder, "0" * 64), stem, None)
    assert not place.folder.is_absolute()  # shipped models lie elsewhere on every machine
