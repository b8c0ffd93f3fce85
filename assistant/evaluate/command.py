"""`assistant evaluate voice|text|mood|recommend`: how good the served models are on files of your own."""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from assistant.config import shipped_models
from assistant.emotion import EMOTIONS, SENTIMENTS
from assistant.errors import AssistantError, NotFound
from assistant.evaluate import logs, mood, recommend, report
from assistant.evaluate.manifest import read_label_map, read_manifest, rescaled, scale_of
from assistant.evaluate.run import BaselineMode, read_rows, with_baseline
from assistant.evaluate.tasks import AFFECTS, TASKS, Sheet, Task, allowed
from assistant.inference.card import Card, read_card, stem_of
from assistant.inference.model import SessionFactory, onnx_session, open_model

_EPILOG = {
    "voice": """\
The manifest has the columns `file` (relative to it, or absolute), `speaker`, and one for the task: `emotion`,
`stress` (0 or 1), or any of `valence`, `arousal`. It may have trim_start_s, trim_end_s and gender.

example:
  file,speaker,emotion
  audio/a1.flac,anna,anger
  audio/b1.flac,bert,happy

  echo '{"happy": "joy", "bored": null}' > map.json
  assistant evaluate voice --data clips.csv --label-map map.json --baseline online --out results
""",
    "text": """\
The manifest has the columns `text` and one for the task: `labels` (names joined by a bar; none is a label too),
`emotion`, `sentiment` (negative, neutral, positive), `stress` (0 or 1), or any of `valence`, `arousal`,
`dominance`. It may have id, group and speaker.

example:
  text,sentiment
  what a day!,positive

  assistant evaluate text --data messages.csv --task sentiment --out results
""",
    "recommend": """\
The folder holds the second stage of SiTunes as published: stage2_interactions.csv, stage2_env.json,
stage2_wrist.npz and music_info.csv. The authors' ten splits are made again from their seeds. Intervals are 95 %
percentile bootstrap over people.

example:
  assistant evaluate recommend --task situnes --data SiTunes --out results
""",
}
_MORE = """
Emotions and sentiments are scored over the classes present in the data (closed set): the prediction is the most
probable one of those. Intervals are 95 % percentile bootstrap, over whole speakers where there are speakers.
"""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for; the report repeats it."""

    modality: Literal["voice", "text"]
    data: Path
    task: Task = "emotion"
    label_map: Path | None = None
    model: Path | None = None
    baseline: BaselineMode = "none"
    abstain: Literal["wrong", "drop"] = "wrong"
    out: Path = Path("evaluation")
    scale: tuple[float, float] | None = None
    bootstrap: int = 1000
    seed: int = 0
    with_text: bool = False


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands `voice`, `text`, `mood` and `recommend`, and `run` as what they do."""
    commands = parser.add_subparsers(dest="modality", required=True, metavar="voice|text|mood|recommend")
    _configure_recommend(commands.add_parser(
        "recommend",
        help="measure what knowing the moment is worth, or another policy from a log",
        description="Fit and measure recommendations with and without the moment, or estimate from a log what "
        "another policy would have earned; write report.json and predictions.csv.",
        epilog=_EPILOG["recommend"] + logs.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ))  # fmt: skip
    for modality, what in (("voice", "clips of speech"), ("text", "texts")):
        sub = commands.add_parser(
            modality,
            help=f"measure a {modality} model on labelled {what}",
            description=f"Run the served {modality} model over labelled {what} of your own; write report.json and "
            "predictions.csv.",
            epilog=_EPILOG[modality] + _MORE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        sub.set_defaults(run=run)
        add = sub.add_argument
        add("--data", type=Path, required=True, metavar="FILE", help="CSV or TSV by its ending; may end in .gz")
        add("--task", choices=TASKS[modality], default="emotion", help="default: emotion")
        add("--label-map", type=Path, metavar="FILE", help='JSON {"theirs": "ours"}, null to leave rows out')
        behind = "; its stem is the one beside it, else the shipped one" if modality == "voice" else ""
        add("--model", type=Path, metavar="FOLDER",
            help=f"folder with card.toml (default: the shipped {modality}){behind}")  # fmt: skip
        if modality == "voice":
            add("--baseline", choices=("none", "speaker", "online"), default="none",
                help="take out how each speaker usually sounds: known from all their clips (speaker), or only "
                "from those before, in the order of the manifest (online)")  # fmt: skip
        else:
            add("--with-text", action="store_true", help="copy the texts into predictions.csv")
        add("--abstain", choices=("wrong", "drop"), default="wrong",
            help="count abstentions as wrong (default), or leave them out")  # fmt: skip
        add("--out", type=Path, default=Path("evaluation"), metavar="DIR", help="default: ./evaluation")
        add("--scale", type=_scale, metavar="LOW,HIGH", help="ends of the affect labels, as in --scale=-3,3 "
            "(default: the smallest usual scale that holds them all)")  # fmt: skip
        add("--bootstrap", type=_count, default=1000, metavar="N", help="replicates (default 1000; 0: none)")
        add("--seed", type=_count, default=0, metavar="N", help="of the bootstrap (default 0)")
    mood.configure(
        commands.add_parser(
            "mood",
            help="measure the fused mood on labelled sessions",
            description="Run the served readers and the fusion over sessions of your own, turn by turn; write "
            "report.json and predictions.csv.",
            epilog=mood.EPILOG + _MORE,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
    )


def _configure_recommend(sub: argparse.ArgumentParser) -> None:
    sub.set_defaults(run=_run_recommend)
    sub.add_argument("--data", type=Path, required=True, metavar="PATH", help="folder of the data set, or the log")
    sub.add_argument("--task", choices=("situnes", "logs"), default="situnes", help="default: situnes")
    sub.add_argument("--clip", type=_positive, default=math.inf, metavar="WEIGHT", help="logs: largest weight")
    sub.add_argument("--out", type=Path, default=Path("evaluation"), metavar="DIR", help="default: ./evaluation")
    sub.add_argument(
        "--bootstrap", type=_count, default=1000, metavar="N", help="replicates (default 1000; 0: none)"
    )
    sub.add_argument("--seed", type=_count, default=0, metavar="N", help="of the bootstrap (default 0)")


def _positive(written: str) -> float:
    try:
        value = float(written)
    except ValueError:
        value = math.nan
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{written!r} is not a number greater than 0")
    return value


def _scale(written: str) -> tuple[float, float]:
    try:
        low, high = (float(part) for part in written.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{written!r} doesn't look like LOW,HIGH") from None
    if not -1e9 < low < high < 1e9:
        raise argparse.ArgumentTypeError(f"{written!r}: LOW must be less than HIGH")
    return low, high


def _count(written: str) -> int:
    if not written.isdecimal():
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number from 0")
    return int(written)


def run(args: argparse.Namespace) -> int:
    """Run what `configure` parsed. 0 when measured, 1 when no row could be scored, 2 when it couldn't start."""
    names = Options.__dataclass_fields__
    options = Options(**{name: value for name, value in vars(args).items() if name in names})
    try:
        return evaluate(options)
    except AssistantError as error:
        print(f"assistant evaluate: {error.message} [{error.code}]", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("assistant evaluate: stopped; nothing was written", file=sys.stderr)
        return 130


def _run_recommend(args: argparse.Namespace) -> int:
    try:
        options: Any = logs.Options if args.task == "logs" else recommend.Options
        names = options.__dataclass_fields__
        chosen = options(**{name: value for name, value in vars(args).items() if name in names})
        return logs.evaluate(chosen) if args.task == "logs" else recommend.evaluate(chosen)
    except AssistantError as error:
        print(f"assistant evaluate: {error.message} [{error.code}]", file=sys.stderr)
        return 2


def evaluate(options: Options, *, session: SessionFactory = onnx_session) -> int:
    """Measure, write the report and print it. Raises `AssistantError` for what keeps it from starting."""
    started = time.monotonic()
    if not options.data.is_file():
        raise NotFound(f"there is no file {options.data}", code="file_missing")
    folder = options.model or shipped_models() / options.modality
    card = read_card(folder)
    names = allowed(options.task, options.modality, card)
    label_map = read_label_map(options.label_map, names)
    manifest = read_manifest(
        options.data,
        options.modality,
        options.task,
        allowed=names,
        label_map=label_map,
        need_speaker=options.baseline != "none",
    )
    rows, bad = list(manifest.rows), list(manifest.bad)
    scale = options.scale
    if options.task == "affect" and rows:
        scale = scale or scale_of(rows)
        rows, outside = rescaled(rows, scale)
        bad += outside
    report.prepare(options.out, rows=len(rows), columns=max(3, len(names)))
    model = open_model(folder, session)
    stem = open_model(_stem_folder(card), session) if options.modality == "voice" else None
    outcomes, unread = asyncio.run(read_rows(model, options.modality, rows, stem=stem))
    bad += unread
    report.tell(bad)
    if not outcomes:
        print(f"assistant evaluate: none of the rows of {options.data} could be scored", file=sys.stderr)
        return 1
    outcomes = with_baseline(outcomes, options.baseline, card.data.get("population", {}).get("center", ()))
    sheet = report.sheet_of(options.task, card, outcomes)
    drop = options.abstain == "drop"
    found = report.findings(sheet, outcomes, drop=drop, replicates=options.bootstrap, seed=options.seed)
    written: dict[str, Any] = {
        "task": options.task,
        **found,
        "model": _identity(card) | ({} if stem is None else {"stem": _identity(stem.card)}),
        "options": _told(options, label_map, scale),
        "bad_rows": report.bad_rows(bad),
        "left_out": manifest.left_out,
        "notes": _notes(options, card, sheet, manifest.columns, scale),
        "seconds": round(time.monotonic() - started, 3),
    }
    report.write(options.out, written, sheet, outcomes, with_text=options.with_text)
    print(report.table(written))
    print(f"  in {options.out}: report.json, predictions.csv")
    return 0


def _stem_folder(card: Card) -> Path:
    """The stem beside a voice model, else the shipped one of that name."""
    name, _ = stem_of(card)
    beside = card.folder.resolve().parent / name
    return beside if (beside / "card.toml").is_file() else shipped_models() / name


def _identity(card: Card) -> dict[str, str]:
    return {"name": card.name, "sha256": card.sha256}


def _told(options: Options, label_map: Any, scale: tuple[float, float] | None) -> dict[str, Any]:
    told = asdict(options) | {"label_map": dict(label_map), "scale": scale}
    return {name: str(value) if isinstance(value, Path) else value for name, value in told.items()}


def _notes(
    options: Options, card: Card, sheet: Sheet, columns: tuple[str, ...], scale: tuple[float, float] | None
) -> list[str]:
    notes = []
    if options.task in ("emotion", "sentiment"):
        notes.append(f"closed set: argmax over the {len(sheet.names)} classes present ({', '.join(sheet.names)})")
        if len(sheet.names) < 2:
            notes.append("only one class is present: nothing to tell apart, so the figures are undefined")
        unsaid = [n for n in sheet.names if n not in (*card.labels, *_said(options))]
        if unsaid:
            notes.append(f"the model never says {', '.join(unsaid)}")
    if options.task == "labels" and (empty := int((sheet.truth.sum(axis=0) == 0).sum())):
        notes.append(f"{empty} of the {len(sheet.names)} labels never occur here and count as F1 0 in macro_f1")
    if scale is not None and options.task == "affect":
        notes.append(f"labels from {scale[0]:g} to {scale[1]:g} were moved to -1 to 1; abstentions are left out")
        unsaid = [n for n in AFFECTS if n in columns and n not in sheet.names]
        if unsaid:
            notes.append(f"{', '.join(unsaid)} was left out: a {options.modality} model doesn't say it")
    return notes


def _said(options: Options) -> tuple[str, ...]:
    return SENTIMENTS if options.task == "sentiment" else EMOTIONS if options.modality == "text" else ()
