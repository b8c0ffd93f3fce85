"""`assistant evaluate mood`: how good the fused mood is on your own sessions, and each modality alone."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant import bootstrap
from assistant.config import shipped_models
from assistant.emotion import EMOTIONS, MODALITIES, Modality, Mood
from assistant.errors import NotFound
from assistant.evaluate.command_line import (
    add_bootstrap,
    add_form,
    add_out,
    make_options,
    parse_seconds,
    run_to_end,
)
from assistant.evaluate.figures import metrics
from assistant.evaluate.figures.tasks import Scoring, Sheet
from assistant.evaluate.report import files
from assistant.evaluate.report.conversion import get_members, to_measured
from assistant.evaluate.report.findings import compute_findings, describe_classes
from assistant.evaluate.report.predictions import make_lines
from assistant.evaluate.report.provenance import describe_options, describe_run
from assistant.evaluate.report.report import EmotionSets, Findings, ModelIdentity, Report
from assistant.evaluate.run.engine import read_rows
from assistant.evaluate.run.outcomes import RowOutcome
from assistant.evaluate.tables.form import TableForm
from assistant.evaluate.tables.manifest import BadRow, Row, read_label_map
from assistant.evaluate.tables.sessions import GAP_S, Rules, SessionRow, SessionTurn, follow_turns, read_sessions
from assistant.inference.card import Card, read_card, stem_of
from assistant.inference.model import SessionFactory, onnx_session, open_model
from assistant.mood.conformal import read_calibration

EPILOG = """\
The file has the columns `session` (of one person), `order` (a number), `emotion`, and `text`, `file` (relative to
the table) or both; either may be empty. `at_s` gives the time in seconds; without it turns are --gap-s apart.

example:
  session,order,text,file,emotion
  a,1,I can't believe it!,a1.flac,surprise
  a,2,You knew all the time.,,anger

  assistant evaluate mood --data sessions.csv --out results
"""
_MODES: tuple[tuple[str, tuple[Modality, ...], bool], ...] = (
    ("without_history", MODALITIES, False),
    ("text_alone", ("text",), False),
    ("voice_alone", ("voice",), False),
)


@dataclass(frozen=True, slots=True)
class MoodOptions(TableForm):
    """What was asked for; the report repeats it."""

    data: Path
    label_map: Path | None = None
    out: Path = Path("evaluation")
    gap_s: float = GAP_S
    bootstrap: int = 1000
    seed: int = 0


def configure(sub: argparse.ArgumentParser) -> None:
    """Add the arguments, and `run` as what it does."""
    sub.set_defaults(run=run)
    add = sub.add_argument
    add("--data", type=Path, required=True, metavar="FILE", help="CSV or TSV by its ending; may end in .gz")
    add("--label-map", type=Path, metavar="FILE", help='JSON {"theirs": "ours"}, null to leave rows out')
    add_form(sub, voice=True)
    add_out(sub)
    words = f"seconds between turns (default {GAP_S:g})"
    add("--gap-s", type=parse_seconds, default=GAP_S, metavar="S", help=words)
    add_bootstrap(sub)


def run(args: argparse.Namespace) -> int:
    """Run what `configure` parsed. 0 when measured, 1 when no row could be scored, 2 when it couldn't start."""
    return run_to_end(lambda: evaluate(make_options(MoodOptions, args)))


def evaluate(options: MoodOptions, *, session: SessionFactory = onnx_session) -> int:
    """Measure, write the report and print it. Raises `AssistantError` for what keeps it from starting."""
    started = time.monotonic()
    if not options.data.is_file():
        raise NotFound(f"there is no file {options.data}", code="file_missing")
    label_map = read_label_map(options.label_map, EMOTIONS)
    manifest, rows = read_sessions(
        options.data, allowed=EMOTIONS, label_map=label_map, gap_s=options.gap_s, form=options.form
    )
    files.prepare_folder(options.out, rows=len(rows), columns=len(EMOTIONS))
    turns, cards, unread = _read(rows, session)
    bad = [*manifest.bad, *unread]
    kept = [row for row in rows if row.row.line not in {one.line for one in unread}]
    files.report_bad_rows(options.out, options.data, bad)
    if not kept:
        return files.print_nothing_scored(options.data)
    population = next((c.data.get("population", {}).get("center", ()) for c in cards if c.name == "voice"), ())
    rules = Rules(calibration=read_calibration(), population=tuple(population))
    labelled = [one.row for one in kept]
    moods = list(follow_turns(turns, rules))
    sheet, outcomes = score_moods(labelled, moods)
    compared = {
        name: score_moods(labelled, list(follow_turns(turns, rules, modalities=read, history=history)))
        for name, read, history in _MODES
        if any(scores.reading().modality in read for turn in turns for scores in turn.scores)
    }

    def measure(sheet: Sheet, outcomes: Sequence[RowOutcome]) -> Findings:
        scoring = Scoring("emotion", False, options.bootstrap, options.seed)
        return compute_findings(sheet, outcomes, scoring, task="mood")

    hashes = {card.name: card.sha256 for card in cards}
    report = Report(
        **get_members(measure(sheet, outcomes)),
        provenance=describe_run(options.data, seed=options.seed, label_map=options.label_map),
        compared={name: dict(measure(*one).metrics) for name, one in compared.items()},
        sets=measure_sets(labelled, moods, options),
        model=ModelIdentity(name=" and ".join(hashes), sha256=hashes),
        options=describe_options(options, label_map=dict(label_map)),
        bad_rows=files.list_bad_rows(bad),
        left_out=manifest.left_out,
        notes=[
            describe_classes(sheet),
            "a mood that abstains counts as wrong; intervals are over whole sessions",
            *manifest.notes,
        ],
        seconds=round(time.monotonic() - started, 3),
    )
    files.write_and_print(report, make_lines(sheet, outcomes), options.out)
    return 0


def _read(
    rows: Sequence[SessionRow], session: SessionFactory
) -> tuple[list[SessionTurn], list[Card], list[BadRow]]:
    """Every turn through the served readers, the models that read, and the rows that couldn't be read."""
    scores: dict[int, list[Any]] = {one.row.line: [] for one in rows}
    cards: list[Card] = []
    bad: list[BadRow] = []
    for modality in ("voice", "text"):
        mine = [one.row for one in rows if (one.row.text.strip() if modality == "text" else one.row.file)]
        if not mine:
            continue
        folder = shipped_models() / modality
        card = read_card(folder)
        stem = open_model(shipped_models() / stem_of(card)[0], session) if modality == "voice" else None
        outcomes, unread = asyncio.run(read_rows(open_model(folder, session), modality, mine, stem=stem))
        for outcome in outcomes:
            if outcome.scores is not None:
                scores[outcome.row.line].append(outcome.scores)
        bad += unread
        cards.append(card)
    lost = {one.line for one in bad}
    read = [one for one in rows if one.row.line not in lost]
    return [SessionTurn(one.row.speaker, one.at_s, tuple(scores[one.row.line])) for one in read], cards, bad


def score_moods(rows: Sequence[Row], moods: Sequence[Mood | None]) -> tuple[Sheet, list[RowOutcome]]:
    """Labels beside the moods' emotions, over the classes present, and why a mood said nothing."""
    names = tuple(name for name in EMOTIONS if any(name in row.labels for row in rows))
    shape = (len(rows), len(names))
    truth, given = np.zeros(shape), np.full(shape, np.nan)
    predicted = np.zeros(shape, dtype=bool)
    outcomes = []
    for at, (row, mood) in enumerate(zip(rows, moods, strict=True)):
        truth[at] = [float(name in row.labels) for name in names]
        reason = "not_read" if mood is None else mood.abstained
        outcomes.append(RowOutcome(row, None, reason))
        if mood is not None and reason is None:
            shares = np.array([mood.emotions.get(name, 0.0) for name in names])
            given[at] = shares / shares.sum() if shares.sum() > 0 else 1 / len(names)
            predicted[at, int(given[at].argmax())] = True
    answered = np.array([outcome.abstained is None for outcome in outcomes], dtype=bool)
    clusters = metrics.number_clusters([row.speaker for row in rows])
    return Sheet("emotion", names, truth, given, np.empty((len(rows), 0)), predicted, answered, clusters), outcomes


def measure_sets(rows: Sequence[Row], moods: Sequence[Mood | None], options: MoodOptions) -> EmotionSets:
    """Of the sets of emotions: how many moods named one, how large they were, and how many held the label."""
    named = [(row, mood.emotion_set) for row, mood in zip(rows, moods, strict=True) if mood and mood.emotion_set]
    if not named:
        return EmotionSets(said=0.0)
    counts = np.array([[1.0, float(row.labels[0] in names)] for row, names in named])
    clusters = metrics.number_clusters([row.speaker for row, _ in named])
    share = {"held": metrics.sum_by_cluster(counts, clusters, metrics.share)}
    drawn = int(clusters.max()) + 1
    figures = bootstrap.compute_figures(share, drawn, replicates=options.bootstrap, seed=options.seed)
    size = sum(len(names) for _, names in named) / len(named)
    return EmotionSets(said=len(named) / len(rows), names=size, held=to_measured(figures)["held"])
