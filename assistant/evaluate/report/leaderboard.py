"""A leaderboard, and how it is written: for the terminal, in Markdown, in LaTeX, and as a page."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from assistant.evaluate.report.formatting import escape_hidden, format_count, format_figure, format_p
from assistant.evaluate.report.glossary import get_metric
from assistant.evaluate.report.report import Figures, File, Measured, ModelIdentity
from assistant.evaluate.report.view import Section, Table, escape_markdown, make_table, render_page

SCHEMA = "attune-leaderboard/1"
"""The form of `leaderboard.json`, as its member `schema` says."""
FILES = ("leaderboard.json", "leaderboard.md", "leaderboard.tex", "leaderboard.html")
_MOST = 5
"""Figures that a table has room for."""
_SHOWN = ("accuracy", "macro_f1", "auc", "macro_auc", "ece", "brier", "aurc", "coverage_90")
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_", "$": r"\$",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip
_ALPHA = 0.05


class RankedModel(Struct, frozen=True, kw_only=True):
    """A model on the rows that all scored."""

    rank: int
    name: str
    """As the leaderboard calls it."""
    folder: str
    model: ModelIdentity
    n: int
    """Rows that its own run scored."""
    abstained: int
    metrics: Figures


class ModelPair(Struct, frozen=True, kw_only=True):
    """Two models in one figure, the better ranked first."""

    first: str
    second: str
    metric: str
    values: list[float | None]
    difference: Measured
    """First minus second."""
    p: float | None
    p_holm: float | None
    exact: bool
    """Whether all permutations were tried."""


class Leaderboard(Struct, frozen=True, kw_only=True, tag_field="schema", tag=SCHEMA):
    """What `leaderboard.json` holds."""

    task: str
    data: File
    n: int
    """Rows that all models scored."""
    clusters: int
    abstain: Literal["drop", "wrong"]
    headline: list[str]
    """Figures that the leaderboard leads with."""
    models: list[RankedModel]
    pairs: list[ModelPair]
    options: dict[str, int]
    notes: list[str]

    @property
    def lead(self) -> str:
        """The name of the figure that ranks the models."""
        return get_metric(self.headline[0]).name


def choose_columns(board: Leaderboard) -> list[str]:
    """The figures that are shown: the headline, then others of different kinds."""
    known = board.models[0].metrics
    return list(dict.fromkeys([*board.headline, *(key for key in _SHOWN if key in known)]))[:_MOST]


def find_pairs_with_best(board: Leaderboard) -> dict[str, ModelPair]:
    """Per model but the first, how it compares with the first in the headline figure."""
    best, key = board.models[0].name, board.headline[0]
    return {pair.second: pair for pair in board.pairs if pair.first == best and pair.metric == key}


def make_caption(board: Leaderboard) -> str:
    """What the table shows, in one or two sentences."""
    rows = f"{format_count(board.n, 'row')} in {format_count(board.clusters, 'cluster')}"
    return (
        f"{board.task.capitalize()} on {board.data.name or 'the same data'}: {rows} that all models scored. 95 % "
        f"bootstrap intervals over clusters; p is from a paired permutation test of {board.lead} against the first "
        "model, corrected for the number of comparisons (Holm)."
    )


def _board(board: Leaderboard) -> Table:
    keys, against = choose_columns(board), find_pairs_with_best(board)
    head = ("", "model", *(get_metric(key).name for key in keys), f"{board.lead} behind", "p")
    rows = []
    for model in board.models:
        pair = against.get(model.name)
        figures = [format_figure(model.metrics.get(key)) for key in keys]
        behind = ["", ""] if pair is None else [format_figure(pair.difference), format_p(pair.p_holm)]
        rows.append([str(model.rank), model.name, *figures, *behind])
    return Table(head, rows, "tt" + "n" * (len(head) - 2))


def _pairs(board: Leaderboard) -> Table:
    rows = []
    for pair in board.pairs:
        metric, value = get_metric(pair.metric), pair.difference.value
        ahead = [pair.first, pair.second][((value or 0) < 0) != (metric.better == "lower")]
        significant = value and pair.p_holm is not None and pair.p_holm < _ALPHA
        verdict = f"{ahead} is better" if significant else "no difference shown"
        figures = (format_figure(pair.difference), format_p(pair.p), format_p(pair.p_holm))
        rows.append((pair.first, pair.second, metric.name, *figures, verdict))
    return Table(("first", "second", "figure", "difference", "p", "p (Holm)", "verdict"), rows, "tttnnnt")


def format_text(board: Leaderboard) -> str:
    """For the terminal, aligned."""
    table = _board(board)
    rows = [[str(cell).replace("−", "-") for cell in row] for row in (table.head, *table.rows)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    notes = (f"  {note}" for note in board.notes)
    return "\n".join([make_caption(board), "", *(line.rstrip() for line in lines), *notes])


def make_documents(board: Leaderboard) -> dict[str, str]:
    """File name to content, but for the JSON."""
    makers = {"md": make_markdown, "tex": make_latex, "html": make_page}
    return {f"leaderboard.{ending}": make(board) for ending, make in makers.items()}


def make_markdown(board: Leaderboard) -> str:
    """A Markdown table, then every pair."""
    notes = "\n".join(f"- {escape_markdown(note)}" for note in board.notes)
    parts = ["# Leaderboard", escape_markdown(make_caption(board)), make_table(_board(board)), notes]
    parts += ["## Every pair", make_table(_pairs(board))]
    return "\n\n".join(part for part in parts if part) + "\n"


def make_latex(board: Leaderboard) -> str:
    """A table to be cited; it needs the packages booktabs and (for wide ones) graphicx."""
    table = _board(board)
    head = [str(cell) for cell in table.head]
    body = [" & ".join(escape_latex(str(cell)).replace("−", "$-$") for cell in row) + r" \\" for row in table.rows]
    names = " & ".join(escape_latex(cell) for cell in head)
    rows = "\n".join(f"    {line}" for line in body)
    return rf"""% needs \usepackage{{booktabs,graphicx}}
\begin{{table}}
  \centering
  \caption{{{escape_latex(make_caption(board))}}}
  \label{{tab:leaderboard-{board.task}}}
  \resizebox{{\ifdim\width>\linewidth\linewidth\else\width\fi}}{{!}}{{%
  \begin{{tabular}}{{rl{"c" * (len(head) - 3)}r}}
    \toprule
    {names} \\
    \midrule
{rows}
    \bottomrule
  \end{{tabular}}}}
\end{{table}}
"""


def escape_latex(said: str) -> str:
    """Text as LaTeX sets it, whatever is in it.

    >>> print(escape_latex("50 % & a_b"))
    50 \\% \\& a\\_b
    """
    plain = " ".join(escape_hidden(said).replace("–", "--").split())
    return "".join(_TEX.get(c, c) for c in plain)


def make_page(board: Leaderboard) -> str:
    """A self-contained page."""
    models = [(one.name, one.folder, one.model.name, f"{one.n:,}", f"{one.abstained:,}") for one in board.models]
    table = _board(board)
    ranked = Table(table.head[1:], [row[1:] for row in table.rows], table.kinds[1:])
    sources = Table(("model", "folder", "name", "rows", "abstained"), models, "tctnn")
    sections = [
        Section("models", "Models", tables=[ranked], items=board.notes),
        Section("pairs", "Every pair", tables=[_pairs(board)]),
        Section("folders", "Sources", tables=[sources]),
    ]
    return render_page("leaderboard.html.jinja", sections, task=board.task, caption=make_caption(board))
