"""The options of `assistant evaluate voice|text`, and their help."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from assistant.evaluate.command_line import (
    add_bootstrap,
    add_form,
    add_out,
    parse_column_names,
    parse_columns,
    parse_positive,
    parse_scale,
)
from assistant.evaluate.figures.tasks import TASKS, Scoring, Task
from assistant.evaluate.run import conditions, foreign_card
from assistant.evaluate.run.baseline import BaselineMode
from assistant.evaluate.tables import manifest
from assistant.evaluate.tables.form import TableForm

_FIT_HELP = """\
--fit head trains a linear head on the frozen stem with the labels of the manifest, under any names. Every clip is
read with a head that was not trained on its speaker (--folds) or on its corpus (--leave-out corpus). Ridge and
temperature are chosen on inner folds. Energy and pitch with the same folds are the floor. The features are kept in
DIR/features, so a second run is fast. They are as personal as the clips: delete them with the clips.

  assistant evaluate voice --data clips.csv --fit head --folds 5 --out results --save-model models/mine
  assistant evaluate voice --data other.csv --model models/mine --out other-results
  ATTUNE_VOICE_MODEL=$PWD/models/mine assistant serve
"""
EPILOG = {
    "voice": """\
The manifest has the columns `file` (relative to the manifest, or absolute), `speaker`, and one for the task:
`emotion`, `stress` (0 or 1), or any of `valence` and `arousal`. Optional: gender; channel (left, right, number);
start and end (or duration) of the part of the file that a row is about: seconds, 00:00:01.5, 0 days 00:00:01.5, or
milliseconds in columns such as start_ms; an empty end is the end of the file.

example:
  file,speaker,emotion
  audio/a1.flac,anna,anger
  audio/b1.flac,bert,happy

  echo '{"happy": "joy", "bored": null}' > map.json
  assistant evaluate voice --data clips.csv --label-map map.json --baseline online --out results

"""
    + "\n".join((manifest.HELP, _FIT_HELP, conditions.HELP, foreign_card.HELP)),
    "text": """\
The manifest has the columns `text` and one for the task: `labels` (names joined by a bar, semicolon or comma, or a
list; empty means no label; or a column of 0 and 1 for each label), `emotion`, `sentiment` (negative, neutral,
positive), `stress` (0 or 1), or any of `valence`, `arousal` and `dominance`. Optional: id, group, speaker.

example:
  text,sentiment
  what a day!,positive

  assistant evaluate text --data messages.csv --task sentiment --out results
  assistant evaluate text --data train.tsv --task labels --header text,labels,id --label-map emotions.txt

"""
    + "\n".join((manifest.HELP, foreign_card.HELP)),
    "recommend": """\
The folder holds stage 2 of SiTunes as published: stage2_interactions.csv, stage2_env.json, stage2_wrist.npz and
music_info.csv. The authors' ten splits are made from their seeds. Intervals are 95 % percentile bootstrap over
people.

example:
  assistant evaluate recommend --task situnes --data SiTunes --out results
""",
}
MORE = """
Emotions and sentiments are scored over the classes that occur in the data (closed set): the prediction is the most
probable of these. Intervals are 95 % percentile bootstrap, over whole speakers if speakers are named.
"""
SAME_FIGURES = ("resume", "workers", "engine", "ray_address")
"""Options that change no figure, so a report leaves them out."""


@dataclass(frozen=True, slots=True)
class RunOptions(TableForm):
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

    @property
    def scoring(self) -> Scoring:
        """How the answers become figures."""
        return Scoring(self.task, self.abstain == "drop", self.bootstrap, self.seed)


# fmt: off
def add_arguments(sub: argparse.ArgumentParser, modality: Literal["voice", "text"]) -> None:
    """Add the options of `evaluate voice` or `evaluate text`."""
    add = sub.add_argument
    add("--data", type=Path, required=True, metavar="FILE",
        help="CSV, TSV, JSON lines or Parquet, by its ending (text may be gzipped); a list of EmoBox; or the "
        "folder of an audformat database")
    add("--columns", type=parse_columns, action="extend", default=[], metavar="OURS=THEIRS,...",
        help="names of your columns, such as speaker=spk,emotion=label; speaker=file:PATTERN takes the first group "
        "of a regular expression; may be repeated")
    add("--table", metavar="NAME", help="table of an audformat database, if several have the column of the task")
    add_form(sub, voice=modality == "voice")
    add("--strict", action="store_true",
        help="stop at the first bad row (missing or unreadable file, unmapped label) instead of counting it")
    add("--against", type=Path, metavar="FILE",
        help="training data of the model, in the format of --data: look for shared speakers and near-duplicates")
    add("--task", choices=TASKS[modality], default="emotion", help="default: emotion")
    add("--label-map", type=Path, metavar="FILE",
        help='JSON {"theirs": "ours"}, null leaves rows out; or the names of labels 0, 1, ...: a JSON list, or a '
        "file .txt with one a line")
    add("--scale", type=parse_scale, metavar="LOW,HIGH",
        help="range of the affect labels, such as --scale=-3,3 (default: the smallest usual scale that holds all)")
    stem = "; its stem is the one in the same folder, else the shipped one" if modality == "voice" else ""
    add("--model", type=Path, metavar="FOLDER",
        help=f"folder with card.toml (default: the shipped {modality} model){stem}")
    if modality == "text":
        add("--with-text", action="store_true", help="copy the texts into predictions.csv")
    else:
        add("--baseline", choices=("none", "speaker", "online"), default="none",
            help="remove how each speaker usually sounds: learned from all their clips (speaker), or only from the "
            "clips before, in the order of the manifest (online)")
        add("--conditions", nargs="+", action="extend", default=[], metavar="CONDITION",
            help="measure under worse conditions too: all, or any of noise:DIR@20,10,0 telephone opus:16 clip:10 "
            "gain:-20,20 reverb (see below)")
    add("--fit", choices=("head",),
        help="measure the method instead of the model: train a linear head on the frozen stem with your labels, "
        "under any names, and test it on speakers left out")
    add("--folds", type=parse_positive, default=5, metavar="K",
        help="folds of speakers, for --fit (default 5; as many as speakers leaves out one at a time)")
    add("--leave-out", metavar="COLUMN",
        help="for --fit: leave out each value of this column in turn, such as corpus, instead of folds of speakers")
    add("--save-model", type=Path, metavar="DIR",
        help="for --fit: at the end train on all data and write a model folder that `--model` and the server load "
        "(needs the extra `research`)")
    add_out(sub)
    add("--abstain", choices=("wrong", "drop"), default="wrong",
        help="count abstentions as wrong (default), or leave them out")
    add("--groups", type=parse_column_names, default=(), metavar="COLUMN,...",
        help="also measure by these columns, and the gaps between their values (group and gender always)")
    add_bootstrap(sub)
    add("--resume", action="store_true", help="continue an interrupted run into the same --out")
    add("--workers", type=parse_positive, default=2, metavar="N",
        help="rows read at once, one thread each (default 2)")
    add("--engine", choices=("local", "ray"), default="local",
        help="ray: N worker processes on a Ray cluster, with the same results (needs the extra `ray`)")
    add("--ray-address", metavar="ADDRESS",
        help="a running cluster, such as auto or ray://head:10001 (default: a local one for this run)")
