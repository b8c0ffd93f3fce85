"""`assistant evaluate compare A B...`: a leaderboard over reports, with every pair tested on the same rows."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

from tqdm import tqdm

from assistant.errors import Invalid, Unavailable
from assistant.evaluate.command_line import add_bootstrap, make_options, parse_names, run_to_end
from assistant.evaluate.figures.measures import compute_figures
from assistant.evaluate.figures.permutation import adjust_p, compare_models
from assistant.evaluate.figures.tasks import Sheet
from assistant.evaluate.report import leaderboard
from assistant.evaluate.report.conversion import round_number, to_measured, to_plain
from assistant.evaluate.report.glossary import choose_headline
from assistant.evaluate.report.leaderboard import Leaderboard, ModelPair, RankedModel
from assistant.evaluate.report.predictions import Scored, align_sheets, read_scored

EPILOG = """\
Each folder was written by `assistant evaluate voice|text|mood --out DIR`, with the same task on the same data. All
figures are over the rows that every model scored. Intervals are 95 % percentile bootstrap over clusters (speakers,
or rows if no speakers are named). p is from a permutation test in which two models swap all their answers in a
cluster, corrected for the number of pairs (Holm).

It writes leaderboard.json, leaderboard.md, leaderboard.tex (booktabs) and leaderboard.html.

example:
  assistant evaluate voice --data clips.csv --out results/plain
  assistant evaluate voice --data clips.csv --out results/online --baseline online
  assistant evaluate compare results/plain results/online --out results/compared
"""


@dataclass(frozen=True, slots=True)
class CompareOptions:
    """What was asked for."""

    folders: Sequence[Path]
    names: Sequence[str] = ()
    """Of the models, in tables; else the folders' names."""
    out: Path | None = None
    bootstrap: int = 1000
    seed: int = 0


def configure(sub: argparse.ArgumentParser) -> None:
    """Add the arguments, and `run` as what it does."""
    sub.set_defaults(run=run)
    add = sub.add_argument
    words = "two or more, each with report.json and predictions.csv"
    add("folders", type=Path, nargs="+", metavar="FOLDER", help=words)
    add("--names", type=parse_names, default=(), metavar="A,B", help="of the models (default: the folders' names)")
    add("--out", type=Path, metavar="DIR", help="where to write the leaderboard (default: only print it)")
    add_bootstrap(sub, seeds="bootstrap and permutations")


def run(args: argparse.Namespace) -> int:
    """Run what `configure` parsed. 0 when compared, 2 when it couldn't be, 130 when interrupted."""
    return run_to_end(lambda: evaluate(make_options(CompareOptions, args)))


def evaluate(options: CompareOptions) -> int:
    """Compare, print, and write if asked to. Raises `AssistantError` for what can't be compared."""
    board = compare_reports(options)
    print(leaderboard.format_text(board))
    if options.out is not None:
        _write(options.out, board)
        print(f"  in {options.out}: {', '.join(leaderboard.FILES)}")
    return 0


def compare_reports(options: CompareOptions) -> Leaderboard:
    """The leaderboard as it is written. Raises `Invalid` (`not_comparable`), and what `read_scored` raises."""
    scored = [read_scored(*one) for one in zip(options.folders, _choose_names(options), strict=True)]
    _check(scored)
    sheets = align_sheets(scored)
    first, drop, task = sheets[0], scored[0].drop, scored[0].report.task
    own = [
        to_measured(compute_figures(sheet, drop=drop, replicates=options.bootstrap, seed=options.seed))
        for sheet in tqdm(sheets, desc="models", leave=False, disable=None)
    ]
    headline = choose_headline(task, own[0])
    values = [metrics[headline[0]].value for metrics in own]
    order = sorted(range(len(own)), key=lambda at: (math.inf if (value := values[at]) is None else -value, at))
    return Leaderboard(
        task=task,
        data=scored[0].report.provenance.data,
        n=len(first),
        clusters=int(first.clusters.max()) + 1,
        abstain="drop" if drop else "wrong",
        headline=list(headline),
        models=[
            RankedModel(
                rank=rank,
                name=scored[at].name,
                folder=str(scored[at].folder),
                model=scored[at].report.model,
                n=scored[at].report.n,
                abstained=int((~sheets[at].answered).sum()),
                metrics=own[at],
            )
            for rank, at in enumerate(order, 1)
        ],
        pairs=_pairs([scored[at].name for at in order], [sheets[at] for at in order], options, drop=drop),
        options={"bootstrap": options.bootstrap, "seed": options.seed},
        notes=_notes(scored, first),
    )


def _choose_names(options: CompareOptions) -> list[str]:
    if len(options.folders) < 2:
        raise Invalid("name two or more folders to compare", code="not_comparable")
    if len({folder.resolve() for folder in options.folders}) < len(options.folders):
        raise Invalid("a folder is named twice; name different folders", code="not_comparable")
    names = list(options.names) or [folder.resolve().name for folder in options.folders]
    if len(names) != len(options.folders):
        raise Invalid(f"--names has {len(names)} names for {len(options.folders)} folders", code="invalid_request")
    if not all(names) or len(set(names)) < len(names):
        if options.names:
            raise Invalid("--names must be different names", code="invalid_request")
        names = [str(folder) for folder in options.folders]
    return names


def _check(scored: Sequence[Scored]) -> None:
    """Raises `Invalid` (`not_comparable`) where reports are of other tasks, data, or rules."""
    first = scored[0]
    for one in scored[1:]:
        for what, known in (
            ("the task", [s.report.task for s in (first, one)]),
            ("--abstain", ["drop" if s.drop else "wrong" for s in (first, one)]),
            ("the data", [s.report.provenance.data.sha256 for s in (first, one)]),
        ):
            if known[0] != known[1] and all(known):
                hint = "their manifests have other hashes" if what == "the data" else " and ".join(map(str, known))
                raise Invalid(
                    f"{first.name} and {one.name} differ in {what} ({hint}): evaluate both alike, then compare",
                    code="not_comparable",
                )


def _pairs(
    names: Sequence[str], sheets: Sequence[Sheet], options: CompareOptions, *, drop: bool
) -> list[ModelPair]:
    """Every pair, the better ranked first, figure by figure; p is Holm's over the pairs of one figure."""
    pairs = list(combinations(range(len(names)), 2))
    chance: Any = {"drop": drop, "replicates": options.bootstrap, "seed": options.seed}
    bar = tqdm(pairs, desc="pairs", leave=False, disable=None)
    tested = {(a, b): compare_models(sheets[a], sheets[b], **chance) for a, b in bar}
    adjusted = {metric: adjust_p({pair: tested[pair][metric].p for pair in pairs}) for metric in tested[pairs[0]]}
    return [
        ModelPair(
            first=names[a],
            second=names[b],
            metric=metric,
            values=[round_number(contrast.first), round_number(contrast.second)],
            difference=to_measured({metric: contrast.difference})[metric],
            p=round_number(contrast.p),
            p_holm=round_number(adjusted[metric][a, b]),
            exact=contrast.exact,
        )
        for a, b in pairs
        for metric, contrast in tested[a, b].items()
    ]


def _notes(scored: Sequence[Scored], first: Sheet) -> list[str]:
    notes = []
    most = max(len(one.keys) for one in scored)
    if len(first) < most:
        notes.append(f"{len(first)} rows were scored by all models, up to {most} by one")
    if not all(one.report.provenance.data.sha256 for one in scored):
        notes.append("a report has no hash of its data: rows are matched by line and name, and their labels agree")
    clusters = int(first.clusters.max()) + 1
    if clusters < 6:
        notes.append(f"with {clusters} clusters no p can be below {2 / 2**clusters:g}: insufficient evidence")
    return notes


def _write(out: Path, board: Leaderboard) -> None:
    content = json.dumps(to_plain(board), indent=2, ensure_ascii=False, allow_nan=False)
    contents = {"leaderboard.json": content + "\n"} | leaderboard.make_documents(board)
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            (out / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise Unavailable(f"cannot write into --out {out}: {error.strerror}", code="out_unwritable") from error
