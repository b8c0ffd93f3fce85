"""`assistant evaluate recommend --task logs`: the value of another policy from a researcher's own log."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from assistant.cli import main
from assistant.recommend.measures.interval import wilson_interval

COLUMNS = ("action", "reward", "propensity", "target")
LOGGED, TARGET = np.array([0.6, 0.3, 0.1]), np.array([0.1, 0.2, 0.7])
LIKED = np.array([0.2, 0.5, 0.8])
VALUE = float(TARGET @ LIKED)


def simulated(count: int, seed: int = 0, *, people: int = 0) -> list[list[Any]]:
    """Rows of a log with known truth; with people, who differ in how much they like everything."""
    rng = np.random.default_rng(seed)
    mood = rng.uniform(-0.19, 0.19, size=max(1, people))
    rows: list[list[Any]] = []
    for n in range(count):
        action = int(rng.choice(3, p=LOGGED))
        extra = mood[n % people] if people else 0.0
        row = [f"a{action}", int(rng.random() < LIKED[action] + extra), LOGGED[action], TARGET[action]]
        rows.append([*row, *([f"p{n % people}"] if people else [])])
    return rows


def written(file: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    with gzip.open(file, "wt") if file.suffix == ".gz" else file.open("w") as out:
        delimiter = "\t" if ".tsv" in file.name else ","
        csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows([columns, *rows])
    return file


def estimated(file: Path, *options: str) -> Any:
    out = file.parent / "out"
    run = ["evaluate", "recommend", "--task", "logs", "--data", str(file), "--out", str(out), *options]
    assert main(run) == 0
    return json.loads((out / "report.json").read_text())


def test_the_value_of_a_policy_that_never_ran_is_found(tmp_path: Path) -> None:
    rows = simulated(6000)
    for row in rows:  # a model that is a little wrong
        row += [LIKED[int(row[0][1])] + 0.1, VALUE + 0.1]
    file = written(tmp_path / "log.tsv.gz", (*COLUMNS, "expected", "expected_target"), rows)
    told = estimated(file)
    assert list(told["metrics"]) == ["logged", "ips", "snips", "dr", "gain", "mean_weight"]
    for name in ("ips", "snips", "dr"):
        assert told["metrics"][name]["low"] < VALUE < told["metrics"][name]["high"]
    width = {name: one["high"] - one["low"] for name, one in told["metrics"].items()}
    assert width["dr"] < width["ips"]
    gain = told["metrics"]["gain"]
    assert gain["low"] < VALUE - LOGGED @ LIKED < gain["high"]
    assert gain["value"] == pytest.approx(told["metrics"]["ips"]["value"] - told["metrics"]["logged"]["value"])
    assert told["weights"]["largest"] == 7.0
    kish = 6000 / float((TARGET**2 / LOGGED).sum())
    assert told["weights"]["effective_sample_size"] == pytest.approx(kish, rel=0.05)
    assert not any(note.startswith("warning") for note in told["notes"])
    lines = (tmp_path / "out" / "predictions.csv").read_text().splitlines()
    assert (lines[0], len(lines)) == ("line,action,reward,weight", 6001)


def test_intervals_are_over_people_where_there_are_people(tmp_path: Path) -> None:
    rows = simulated(8000, people=40)
    apart = estimated(written(tmp_path / "rows.csv", COLUMNS, [row[:4] for row in rows]))
    together = estimated(written(tmp_path / "people.csv", (*COLUMNS, "person"), rows))
    assert (apart["clusters"], together["clusters"]) == (8000, 40)
    ends = [one["metrics"]["snips"] for one in (apart, together)]
    assert ends[1]["high"] - ends[1]["low"] > 1.5 * (ends[0]["high"] - ends[0]["low"])
    assert "40 values of `person`" in together["notes"][0]
    assert "as if each were independent" in apart["notes"][0]


def test_rows_that_cannot_be_are_left_out_with_their_reasons_and_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [["a", 1, 0.0, 0.5], ["a", 1, 1.2, 0.5], ["a", "x", 0.5, 0.5], ["a", 1, 0.5, -0.1], ["a", 1, "", 0.5]]
    told = estimated(written(tmp_path / "log.csv", COLUMNS, [*simulated(500), *bad]))
    assert told["n"] == 500
    assert [row["line"] for row in told["bad_rows"]["first"]] == [502, 503, 504, 505, 506]
    assert "line 503: the propensity must be greater than 0 and at most 1" in capsys.readouterr().err
    assert any("3 rows without a propensity in (0, 1]" in note for note in told["notes"])


def test_a_log_that_says_little_of_the_target_is_not_to_be_trusted(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["a", 0, 0.99, 0.01]] * 300 + [["b", 1, 0.01, 0.99]]
    notes = estimated(written(tmp_path / "log.csv", COLUMNS, rows))["notes"]
    assert any("worth 1.1 choices" in note for note in notes)
    assert any("one row has more than 5 %" in note for note in notes)


def test_propensities_that_cannot_be_right_are_noticed(tmp_path: Path) -> None:
    rows = [[*row[:2], min(1.0, row[2] * 1.5), row[3]] for row in simulated(4000)]
    notes = estimated(written(tmp_path / "log.csv", COLUMNS, rows))["notes"]
    assert any("propensities or targets are wrong" in note for note in notes)


def test_clipping_lowers_the_largest_weights_and_says_so(tmp_path: Path) -> None:
    file = written(tmp_path / "log.csv", COLUMNS, simulated(3000))
    plain, clipped = estimated(file), estimated(file, "--clip", "2")
    assert clipped["weights"]["largest"] == 2.0
    assert clipped["weights"]["clipped"] > 0 == plain["weights"]["clipped"]
    assert clipped["metrics"]["ips"]["value"] < plain["metrics"]["ips"]["value"]
    assert any("lowered to 2" in note for note in clipped["notes"])


@pytest.mark.parametrize(
    ("columns", "code"),
    [(("action", "reward", "target"), "manifest_column_missing"),
     ((*COLUMNS, "expected"), "manifest_column_missing")],
)  # fmt: skip
def test_a_log_without_a_column_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], columns: Sequence[str], code: str
) -> None:
    file = written(tmp_path / "log.csv", columns, [["a", *([0.5] * (len(columns) - 1))]])
    run = ["evaluate", "recommend", "--task", "logs", "--data", str(file), "--out", str(tmp_path / "out")]
    assert main(run) == 2
    assert code in capsys.readouterr().err


def test_a_log_without_a_row_that_can_be_used_measures_nothing(tmp_path: Path) -> None:
    file = written(tmp_path / "log.csv", COLUMNS, [["a", 1, 0, 1]])
    assert main(["evaluate", "recommend", "--task", "logs", "--data", str(file), "--out", str(tmp_path / "o")]) == 1


@pytest.mark.parametrize("clip", ["0", "-1", "nan", "much"])
def test_a_weight_to_clip_at_is_a_number_greater_than_0(tmp_path: Path, clip: str) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "recommend", "--task", "logs", "--data", str(tmp_path), "--clip", clip])


@pytest.mark.parametrize("campaign", ["all", "men", "women"])
def test_thompson_samplings_value_from_a_random_log_is_that_of_its_own_run(
    data: Path, tmp_path: Path, campaign: str
) -> None:
    """Open Bandit Dataset: the target is how often Thompson sampling chose each item at each place."""
    folder = data / "recsys" / "open_bandit_small"
    own, random = (_campaign(folder / f"{policy}_{campaign}.csv.gz") for policy in ("bts", "random"))
    chosen = np.zeros((80, 4))
    for row in own:
        chosen[int(row["item_id"]), int(row["position"])] += 1
    chosen /= np.maximum(chosen.sum(axis=0), 1)
    rows = [
        [row["item_id"], row["click"], row["propensity_score"], chosen[int(row["item_id"]), int(row["position"])]]
        for row in random
    ]
    told = estimated(written(tmp_path / "log.csv", COLUMNS, rows), "--bootstrap", "300")
    low, high = wilson_interval(sum(int(row["click"]) for row in own), len(own))
    assert low < told["metrics"]["ips"]["value"] < high
    assert low < told["metrics"]["snips"]["value"] < high
    assert not any("propensities or targets are wrong" in note for note in told["notes"])


def _campaign(file: Path) -> list[dict[str, str]]:
    if not file.is_file():
        pytest.skip("the Open Bandit Dataset is not here")
    with gzip.open(file, "rt") as opened:
        return list(csv.DictReader(opened))
