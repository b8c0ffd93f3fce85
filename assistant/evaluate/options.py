"""What can be asked of `assistant evaluate voice|text`: the options, and how they are written."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assistant.evaluate.figures.tasks import TASKS, Task
from assistant.evaluate.run import conditions, foreign_card
from assistant.evaluate.run.baseline import BaselineMode
from assistant.evaluate.tables import manifest

_FIT_HELP = """\
--fit head trains a linear head on the frozen stem with the labels of the manifest, under any names, and reads every
clip with a head that did not learn from its speaker (--folds), or from its corpus (--leave-out corpus). Ridge and
temperature are chosen on inner folds; energy and pitch with the same folds are the floor. What the stem hears is
kept in DIR/features, so that a second run is quick: it is as personal as the clips, so delete it with them.

  assistant evaluate voice --data clips.csv --fit head --folds 5 --out results --save-model models/mine
  assistant evaluate voice --data other.csv --model models/mine --out other-results
  ATTUNE_VOICE_MODEL=$PWD/models/mine assistant serve
"""
EPILOG = {
    "voice": """\
The manifest has the columns `file` (relative to it, or absolute), `speaker`, and one for the task: `emotion`,
`stress` (0 or 1), or any of `valence`, `arousal`. It may have trim_start_s, trim_end_s and gender.

example:
  file,speaker,emotion
  audio/a1.flac,anna,anger
  audio/b1.flac,bert,happy

  echo '{"happy": "joy", "bored": null}' > map.json
  assistant evaluate voice --data clips.csv --label-map map.json --baseline online --out results

"""
    + manifest.HELP
    + "\n"
    + _FIT_HELP
    + "\n"
    + conditions.HELP
    + "\n"
    + foreign_card.HELP,
    "text": """\
The manifest has the columns `text` and one for the task: `labels` (names joined by a bar; none is a label too),
`emotion`, `sentiment` (negative, neutral, positive), `stress` (0 or 1), or any of `valence`, `arousal`,
`dominance`. It may have id, group and speaker.

example:
  text,sentiment
  what a day!,positive

  assistant evaluate text --data messages.csv --task sentiment --out results

"""
    + manifest.HELP
    + "\n"
    + foreign_card.HELP,
    "recommend": """\
The folder holds the second stage of SiTunes as published: stage2_interactions.csv, stage2_env.json,
stage2_wrist.npz and music_info.csv. The authors' ten splits are made again from their seeds. Intervals are 95 %
percentile bootstrap over people.

example:
  assistant evaluate recommend --task situnes --data SiTunes --out results
""",
}
MORE = """
Emotions and sentiments are scored over the classes present in the data (closed set): the prediction is the most
probable one of those. Intervals are 95 % percentile bootstrap, over whole speakers where there are speakers.
"""


SAME_FIGURES = ("resume", "workers", "engine", "ray_address")
"""Options that change no figure, so a report leaves them out."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What was asked for; the report repeats it."""

    modality: Literal["voice", "text"]
    data: Path
    task: Task = "emotion"
    label_map: Path | None = None
    columns: Sequence[tuple[str, str]] = ()
    """What the manifest calls our columns: (ours, theirs)."""
    table: str | None = None
    """Of an audformat database."""
    strict: bool = False
    """Any bad row stops the run."""
    against: Path | None = None
    """What the model was trained on, to look for leakage."""
    model: Path | None = None
    baseline: BaselineMode = "none"
    abstain: Literal["wrong", "drop"] = "wrong"
    out: Path = Path("evaluation")
    scale: tuple[float, float] | None = None
    groups: Sequence[str] = ()
    """Columns to make groups by, beside `group` and `gender`."""
    bootstrap: int = 1000
    seed: int = 0
    with_text: bool = False
    resume: bool = False
    workers: int = 2
    """Threads, or with `ray` processes, that read at once."""
    engine: Literal["local", "ray"] = "local"
    ray_address: str | None = None
    conditions: Sequence[str] = ()
    """Worse conditions to hear the clips under as well, as `conditions.parse_conditions` reads them."""
    fit: Literal["head"] | None = None
    folds: int = 5
    leave_out: str | None = None
    """The column whose values are left out in turn, instead of folds of speakers."""
    save_model: Path | None = None


def add_arguments(sub: argparse.ArgumentParser, modality: Literal["voice", "text"]) -> None:
    """Add what can be asked of `evaluate voice` or `evaluate text`."""
    add = sub.add_argument
    add("--data", type=Path, required=True, metavar="FILE", help="CSV, TSV, JSON lines or Parquet by its ending "
        "(text may be gzipped), a list of EmoBox, or the folder of an audformat database")  # fmt: skip
    add("--columns", type=columns, action="extend", default=[], metavar="OURS=THEIRS,...", help="what your columns "
        "are called, as in speaker=spk,emotion=label; speaker=file:PATTERN takes the first group of a regular "
        "expression; may be repeated")  # fmt: skip
    add("--table", metavar="NAME", help="of an audformat database, where several have the task's column")
    add("--strict", action="store_true", help="stop at the first bad row (a file that is missing or can't be read, "
        "a label that isn't mapped) instead of counting it")  # fmt: skip
    add("--against", type=Path, metavar="FILE", help="what the model was trained on, written like --data: look for "
        "shared speakers and for near-duplicates")  # fmt: skip
    add("--task", choices=TASKS[modality], default="emotion", help="default: emotion")
    add("--label-map", type=Path, metavar="FILE", help='JSON {"theirs": "ours"}, null to leave rows out')
    behind = "; its stem is the one beside it, else the shipped one" if modality == "voice" else ""
    add("--model", type=Path, metavar="FOLDER",
        help=f"folder with card.toml (default: the shipped {modality}){behind}")  # fmt: skip
    if modality == "voice":
        add("--baseline", choices=("none", "speaker", "online"), default="none",
            help="take out how each speaker usually sounds: known from all their clips (speaker), or only "
            "from those before, in the order of the manifest (online)")  # fmt: skip
        add("--conditions", nargs="+", action="extend", default=[], metavar="CONDITION",
            help="also measure under worse conditions: all, or any of noise:DIR@20,10,0 telephone opus:16 clip:10 "
            "gain:-20,20 reverb (see below)")  # fmt: skip
    else:
        add("--with-text", action="store_true", help="copy the texts into predictions.csv")
    add("--fit", choices=("head",), help="measure the method instead of the model: train a linear head on the "
        "frozen stem with your labels, whatever their names, and test it on speakers left out (needs the extra "
        "`research`)")  # fmt: skip
    add("--folds", type=positive, default=5, metavar="K",
        help="of speakers, for --fit (default 5; with as many as there are speakers each is left out)")  # fmt: skip
    add("--leave-out", metavar="COLUMN", help="for --fit: leave out each value of this column in turn, such as "
        "corpus, instead of folds of speakers")  # fmt: skip
    add("--save-model", type=Path, metavar="DIR", help="for --fit: train on everything at last and write a model "
        "folder that `--model` and the server load (needs the extra `research`)")  # fmt: skip
    add("--abstain", choices=("wrong", "drop"), default="wrong",
        help="count abstentions as wrong (default), or leave them out")  # fmt: skip
    add("--out", type=Path, default=Path("evaluation"), metavar="DIR", help="default: ./evaluation")
    add("--scale", type=scale, metavar="LOW,HIGH", help="ends of the affect labels, as in --scale=-3,3 "
        "(default: the smallest usual scale that holds them all)")  # fmt: skip
    add("--groups", type=names, default=(), metavar="COLUMN,...", help="also measure by these columns, and gaps "
        "between their values (group and gender always)")  # fmt: skip
    add("--bootstrap", type=count, default=1000, metavar="N", help="replicates (default 1000; 0: none)")
    add("--seed", type=count, default=0, metavar="N", help="of the bootstrap (default 0)")
    add("--resume", action="store_true", help="go on where an interrupted run into the same --out stopped")
    add("--workers", type=positive, default=2, metavar="N", help="rows read at once, one thread each (default 2)")
    add("--engine", choices=("local", "ray"), default="local",
        help="ray: N worker processes on a Ray cluster, with the same results (needs the extra `ray`)")  # fmt: skip
    add("--ray-address", metavar="ADDRESS", help="of a running cluster, as in auto or ray://head:10001 "
        "(default: a local one for this run)")  # fmt: skip


def columns(written: str) -> list[tuple[str, str]]:
    r"""OURS=THEIRS, and further ones after commas.

    >>> columns(r"speaker=file:(\d{2,3}),emotion=label")
    [('speaker', 'file:(\\d{2,3})'), ('emotion', 'label')]
    """
    pairs = [one.partition("=") for one in re.split(r",(?=\w+=)", written)]
    if not all(ours.strip() and theirs.strip() for ours, _, theirs in pairs):
        raise argparse.ArgumentTypeError(f"{written!r} doesn't look like OURS=THEIRS")
    return [(ours.strip(), theirs.strip()) for ours, _, theirs in pairs]


def names(written: str) -> tuple[str, ...]:
    """Names between commas.

    >>> names("accent, site")
    ('accent', 'site')
    """
    found = tuple(name.strip() for name in written.split(","))
    if not all(found):
        raise argparse.ArgumentTypeError(f"{written!r} doesn't look like COLUMN,COLUMN")
    return found


def scale(written: str) -> tuple[float, float]:
    """LOW,HIGH as two numbers."""
    try:
        low, high = (float(part) for part in written.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{written!r} doesn't look like LOW,HIGH") from None
    if not -1e9 < low < high < 1e9:
        raise argparse.ArgumentTypeError(f"{written!r}: LOW must be less than HIGH")
    return low, high


def count(written: str) -> int:
    """A whole number from 0."""
    if not written.isdecimal():
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number from 0")
    return int(written)


def positive(written: str) -> int:
    """A whole number from 1."""
    if (value := count(written)) < 1:
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number from 1")
    return value
