"""A run that was cut off goes on, and ends as if nothing had happened. Run as a script, this file is such a run."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import signal
import sqlite3
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from assistant.errors import Conflict
from assistant.evaluate.command import JOURNAL, RunOptions, configure, evaluate
from assistant.evaluate.command import run as command
from assistant.evaluate.run.engine import Pace, measure_cost, read_rows
from assistant.evaluate.run.journal import Journal, Rows
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.run.worker import PIECE, PieceReader
from assistant.evaluate.tables.manifest import Row
from assistant.inference.model import open_model
from tests.conftest import ROOT

SAID = ("joy", "anger", "sadness", "neutral")
PORTS = {
    "text": ("input_ids", '["int64", "batch", "tokens"]'),
    "voice": ("wave", '["float32", "batch", "samples"]'),
}


class Node:
    def __init__(self, name: str, shape: list[Any]) -> None:
        self.name = name
        self.shape = shape


class Graph:
    """Says the first word of a text, or the level of a clip; calls `after` before each run with their number."""

    def __init__(self, folder: Path, after: Callable[[int], None] = lambda runs: None) -> None:
        self.modality = folder.name
        self.after = after
        self.runs = 0

    def get_inputs(self) -> list[Node]:
        return [Node(PORTS[self.modality][0], ["batch", "n"])]

    def get_outputs(self) -> list[Node]:
        return [Node("probabilities", ["batch", 4])]

    def run(self, outputs: Any, inputs: dict[str, Any]) -> list[Any]:
        self.runs += 1
        self.after(self.runs)
        row = next(iter(inputs.values()))[0]
        which = int(row[0]) - 1 if self.modality == "text" else round(float(np.abs(row).max()) * 10) - 1
        return [np.array([[0.7 if at == which else 0.1 for at in range(4)]], np.float32)]


def a_model(folder: Path, modality: str, graph: bytes = b"a graph") -> Path:
    folder = folder / modality
    folder.mkdir(exist_ok=True)
    (folder / "model.onnx").write_bytes(graph)
    name, port = PORTS[modality]
    (folder / "card.toml").write_text(
        f'name = "mine"\nkind = "{modality}"\nlicence = "none"\nsha256 = "{hashlib.sha256(graph).hexdigest()}"\n'
        f'labels = {json.dumps(SAID)}\n[foreign]\noutput = "probabilities"\n[inputs]\n{name} = {port}\n'
        '[outputs]\nprobabilities = ["float32", "batch", 4]\n'
    )
    tokenizer = Tokenizer(WordLevel({word: at for at, word in enumerate(("[UNK]", *SAID))}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


def texts(folder: Path, count: int = 5 * PIECE["text"] + 7) -> Path:
    data = folder / "d.csv"
    rows = (f"{n},{SAID[n * n % 4]} it is,{SAID[n % 4]},s{n % 9}\n" for n in range(count))
    data.write_text("id,text,emotion,speaker\n" + "".join(rows))
    return data


def run(data: Path, model: Path, out: Path, after: Callable[[int], None] = lambda runs: None, **more: Any) -> Graph:
    """Evaluate with a made-up graph; the graph, to see how often it ran."""
    graph = Graph(model, after)
    modality: Any = model.name
    options = RunOptions(modality, data, model=model, out=out, bootstrap=20, **more)
    assert evaluate(options, session=lambda file: graph) == 0
    return graph


def results(out: Path) -> tuple[dict[str, Any], bytes]:
    """The report without times, and the predictions."""
    report = json.loads((out / "report.json").read_text())
    for name in ("seconds", "cost", "provenance"):
        report.pop(name, None)
    report["options"].pop("out")
    return report, (out / "predictions.csv").read_bytes()


def as_a_process(data: Path, model: Path, out: Path, ending: str, *more: str) -> subprocess.CompletedProcess[str]:
    """Evaluate in a process that sends itself the signal `ending` at its 150th run of the graph."""
    command = [
        sys.executable,
        __file__,
        ending,
        "text",
        "--data",
        str(data),
        "--model",
        str(model),
        "--out",
        str(out),
    ]
    return subprocess.run(
        [*command, "--bootstrap=20", *more],
        capture_output=True, text=True, timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_like_one_that_was_left_alone(tmp_path: Path) -> None:
    data, model = texts(tmp_path), a_model(tmp_path, "text")
    run(data, model, tmp_path / "whole")
    killed = as_a_process(data, model, tmp_path / "cut", "SIGKILL")
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "cut" / "report.json").exists()
    rows = 5 * PIECE["text"] + 7
    again = run(data, model, tmp_path / "cut", resume=True)
    timed_alone = 100
    assert again.runs < rows + timed_alone  # what the journal had was not read again
    assert results(tmp_path / "cut") == results(tmp_path / "whole")


@pytest.mark.slow
def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    data, model = texts(tmp_path), a_model(tmp_path, "text")
    stopped = as_a_process(data, model, tmp_path / "out", "SIGINT")
    assert stopped.returncode == 130
    assert stopped.stderr.splitlines()[-1] == (
        "assistant evaluate: stopped; the same command with --resume continues from here"
    )
    assert "Traceback" not in stopped.stderr
    assert "text/s" in stopped.stderr  # how fast it went, in a line of its own
    assert "\r" not in stopped.stderr
    run(data, model, tmp_path / "whole")
    run(data, model, tmp_path / "out", resume=True)
    assert results(tmp_path / "out") == results(tmp_path / "whole")


@pytest.mark.parametrize("left", [0.0, 0.3, 0.5, 0.99])
def test_a_torn_journal_is_cut_off_where_it_is_torn(tmp_path: Path, left: float) -> None:
    data, model = texts(tmp_path), a_model(tmp_path, "text")
    run(data, model, tmp_path / "out")
    whole = results(tmp_path / "out")
    journal = tmp_path / "out" / JOURNAL
    journal.write_bytes(journal.read_bytes()[: int(left * journal.stat().st_size)])
    run(data, model, tmp_path / "out", resume=True)
    assert results(tmp_path / "out") == whole


def test_a_finished_run_can_be_reported_otherwise_without_reading_again(tmp_path: Path) -> None:
    data, model = texts(tmp_path), a_model(tmp_path, "text")
    assert run(data, model, tmp_path / "out").runs > 5 * PIECE["text"]
    timed_alone = 100
    assert run(data, model, tmp_path / "out", resume=True, abstain="drop").runs == timed_alone


def test_without_resume_a_run_starts_afresh(tmp_path: Path) -> None:
    data, model = texts(tmp_path), a_model(tmp_path, "text")
    first, again = (run(data, model, tmp_path / "out").runs for _ in range(2))
    assert first == again


@pytest.mark.parametrize("changed", ["data", "model", "columns"])
def test_a_journal_of_another_run_is_refused_and_left_alone(tmp_path: Path, changed: str) -> None:
    data, model = texts(tmp_path), a_model(tmp_path, "text")
    run(data, model, tmp_path / "out")
    before = (tmp_path / "out" / JOURNAL).read_bytes()
    more: dict[str, Any] = {}
    if changed == "data":
        data.write_text(data.read_text() + "x,joy,joy,s1\n")
    elif changed == "model":
        a_model(tmp_path, "text", b"another graph")
    else:
        more["columns"] = (("group", "speaker"),)
    with pytest.raises(Conflict, match=changed) as raised:
        run(data, model, tmp_path / "out", resume=True, **more)
    assert raised.value.code == "journal_other"
    assert (tmp_path / "out" / JOURNAL).read_bytes() == before


def test_a_file_that_came_since_moves_no_answer_to_another_row(tmp_path: Path) -> None:
    model = a_model(tmp_path, "voice")
    lines = ["file,speaker,emotion"]
    for number in range(2 * PIECE["voice"]):
        said = SAID[number % 4]
        level = (SAID.index(said) + 1) / 10
        soundfile.write(tmp_path / f"{number}.wav", np.full(1600, level, np.float32), 16_000, subtype="FLOAT")
        lines.append(f"{number}.wav,s{number % 3},{said}")
    data = tmp_path / "d.csv"
    data.write_text("\n".join(lines) + "\n")
    late = (tmp_path / "3.wav").rename(tmp_path / "late")
    run(data, model, tmp_path / "out")
    late.rename(tmp_path / "3.wav")
    run(data, model, tmp_path / "out", resume=True)
    run(data, model, tmp_path / "whole")
    report, _ = results(tmp_path / "out")
    assert report["n"] == 2 * PIECE["voice"]
    assert report["metrics"]["uar"]["value"] == 1.0
    assert results(tmp_path / "out") == results(tmp_path / "whole")


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    data, model = texts(tmp_path), a_model(tmp_path, "text")
    for workers in (1, 3):
        run(data, model, tmp_path / str(workers), workers=workers)
    assert results(tmp_path / "1") == results(tmp_path / "3")


def test_a_journal_gives_back_the_newest_of_each_piece_and_survives_damage(tmp_path: Path) -> None:
    file = tmp_path / "j"
    journal = Journal.start(file, {"data": "a"})
    for number, data in ((2, b"two"), (0, b"old"), (0, b"new"), (1, b"one")):
        journal.add(number, data)
    assert [journal.get(n) for n in range(4)] == [b"new", b"one", b"two", None]
    journal.close()
    written = file.read_bytes()
    file.write_bytes(written.replace(b"new", b"nex"))  # what is damaged is not believed
    damaged = Journal.resume(file, {"data": "a"})
    assert [damaged.get(n) for n in range(3)] == [None, b"one", b"two"]
    damaged.add(0, b"once more")
    damaged.close()
    assert Journal.resume(file, {"data": "a"}).get(0) == b"once more"


def in_version_1(journal: Path, schema: str = "attune-journal/1") -> bytes:
    """The same journal as the version before wrote it: pieces one after the other, each behind its length."""
    with closing(sqlite3.connect(journal)) as database:
        pieces = database.execute("SELECT number, data FROM pieces ORDER BY number").fetchall()
    found = b""
    for number, data in pieces:
        if number < 0:
            data = json.dumps({"schema": schema, **json.loads(data)}).encode()
        found += struct.pack("<qII", number, len(data), zlib.crc32(data, number & 0xFFFFFFFF)) + data
    return found


@pytest.mark.parametrize("left", [1.0, 0.5])
def test_a_journal_of_the_version_before_is_resumed_from(tmp_path: Path, left: float) -> None:
    data, model = texts(tmp_path), a_model(tmp_path, "text")
    first = run(data, model, tmp_path / "out")
    whole, journal = results(tmp_path / "out"), tmp_path / "out" / JOURNAL
    old = in_version_1(journal)
    journal.write_bytes(old[: int(left * len(old))])
    again = run(data, model, tmp_path / "out", resume=True)
    timed_alone = 100
    assert timed_alone <= again.runs < first.runs
    assert (again.runs == timed_alone) == (left == 1.0)
    assert results(tmp_path / "out") == whole


def test_a_journal_of_the_version_before_and_of_another_run_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "j"
    Journal.start(file, {"data": "a"}).close()
    old = in_version_1(file)
    file.write_bytes(old)
    with pytest.raises(Conflict, match=r"j belongs to a run with a different data") as raised:
        Journal.resume(file, {"data": "b"})
    assert raised.value.code == "journal_other"
    assert [one.name for one in tmp_path.iterdir()] == ["j"]
    assert file.read_bytes() == old


def test_rows_on_the_disk_are_a_sequence_like_any_other() -> None:
    plain = [Row(n, f"n{n}", Path(f"{n}.wav"), labels=("joy",), affect={"valence": n / 7}) for n in range(700)]
    kept = Rows(plain)
    assert list(kept) == plain
    assert (kept[0], kept[-1], kept[255:258], len(kept)) == (plain[0], plain[-1], plain[255:258], 700)
    with pytest.raises(IndexError):
        kept[700]


def test_answers_come_back_from_the_journal_without_a_bit_changed(tmp_path: Path) -> None:
    folder = a_model(tmp_path, "text")
    model = open_model(folder, lambda file: Graph(folder))
    rows = [Row(n, str(n), text=f"{SAID[n % 4]} it is") for n in range(3)] + [Row(9, "", text=" ")]
    outcomes, bad = asyncio.run(read_rows(model, "text", rows, quiet=True))
    direct = [met.scores for met in PieceReader(model, "text").piece(rows)]
    assert not bad
    assert outcomes[3].abstained == "empty"
    for outcome, scores in zip(outcomes[:3], direct[:3], strict=True):
        assert outcome.scores is not None
        assert scores is not None
        assert outcome.scores.emotions.dtype == scores.emotions.dtype
        assert outcome.scores.emotions.tobytes() == scores.emotions.tobytes()
        assert outcome.scores.card == scores.card


def test_the_cost_is_told_from_rows_read_alone(tmp_path: Path) -> None:
    folder = a_model(tmp_path, "text")
    model = open_model(folder, lambda file: Graph(folder))
    ticks: Iterator[float] = iter(np.arange(0.0, 10.0, 0.004).tolist())
    outcomes = [RowOutcome(Row(n, "", text="joy"), None) for n in range(30)]
    told = measure_cost(PieceReader(model, "text"), [model], outcomes, Pace(30, 2.0), clock=lambda: next(ticks))
    assert told["rows_per_s"] == 15.0
    assert told["latency_ms"]["rows"] == 30
    assert told["latency_ms"]["p50"] == told["latency_ms"]["p99"] == pytest.approx(4.0)
    assert told["real_time_factor"] is None  # texts take no time to say
    assert told["peak_rss_mb"] is None or told["peak_rss_mb"] > 10


def child() -> int:
    """The run of `as_a_process`."""
    ending = getattr(signal, sys.argv[1])
    parser = argparse.ArgumentParser()
    configure(parser)
    args = parser.parse_args(sys.argv[2:])

    def after(runs: int) -> None:
        if runs == 150:
            os.kill(os.getpid(), ending)

    return command(args, session=lambda file: Graph(args.model, after))


if __name__ == "__main__":
    sys.exit(child())
