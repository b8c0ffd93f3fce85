"""A leaderboard in words: for the terminal, in Markdown, in LaTeX, and as a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assistant.evaluate.report import html
from assistant.evaluate.report.glossary import count, interval, metric, number

FILES = ("leaderboard.json", "leaderboard.md", "leaderboard.tex", "leaderboard.html")
_MOST = 5
"""Figures that a table has room for."""
_SHOWN = ("accuracy", "macro_f1", "auc", "macro_auc", "ece", "brier", "aurc", "coverage_90")
_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "%": r"\%", "&": r"\&", "#": r"\#", "_": r"\_", "$": r"\$",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
}  # fmt: skip
_ALPHA = 0.05

Found = Mapping[str, Any]


def columns(found: Found) -> list[str]:
    """The figures that are shown: the headline, then others of different kinds."""
    known = found["models"][0]["metrics"]
    return list(dict.fromkeys([*found["headline"], *(key for key in _SHOWN if key in known)]))[:_MOST]


def versus_best(found: Found) -> dict[str, Found]:
    """Per model but the first, how it compares with the first in the headline figure."""
    best, key = found["models"][0]["name"], found["headline"][0]
    return {pair["second"]: pair for pair in found["pairs"] if pair["first"] == best and pair["metric"] == key}


def p_shown(value: float | None) -> str:
    """A p value; the smallest are told as a bound.

    >>> p_shown(0.00049), p_shown(0.0316), p_shown(None)
    ('< .001', '.032', '–')
    """
    if value is None:
        return "–"
    return "< .001" if value < 0.001 else f"{value:.3f}".removeprefix("0")


def caption(found: Found) -> str:
    """What the table is of, in one sentence or two."""
    data = found["data"].get("name") or "the same data"
    lead = metric(found["headline"][0]).name
    rows = f"{count(found['n'], 'row')} in {count(found['clusters'], 'cluster')}"
    return (
        f"{found['task'].capitalize()} on {data}: {rows} that all models scored. 95 % bootstrap intervals over "
        f"clusters; p of a paired permutation test of {lead} against the first model, corrected by Holm."
    )


def _cells(found: Found, minus: str = "−") -> tuple[list[str], list[list[str]]]:
    keys, against = columns(found), versus_best(found)
    lead = metric(found["headline"][0]).name
    head = ["", "model", *(metric(key).name for key in keys), f"{lead} behind", "p"]
    rows = []
    for model in found["models"]:
        pair = against.get(model["name"])
        figures = [_figure(model["metrics"].get(key)) for key in keys]
        apart = ["", ""] if pair is None else [_figure(pair["difference"]), p_shown(pair["p_holm"])]
        rows.append([str(model["rank"]), model["name"], *figures, *apart])
    return head, [[cell.replace("−", minus) for cell in row] for row in rows]


def _figure(figure: Mapping[str, float | None] | None) -> str:
    if not figure or figure["value"] is None:
        return "–"
    inside = interval(figure, ", ")
    return number(figure["value"]) + (f" [{inside}]" if inside else "")


def text(found: Found) -> str:
    """For the terminal, aligned."""
    head, rows = _cells(found, "-")
    widths = [max(len(row[at]) for row in [head, *rows]) for at in range(len(head))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in [head, *rows]]
    return "\n".join([caption(found), "", *(line.rstrip() for line in lines), *(f"  {n}" for n in found["notes"])])


def documents(found: Found) -> dict[str, str]:
    """File name to content, but for the JSON."""
    return {"leaderboard.md": markdown(found), "leaderboard.tex": latex(found), "leaderboard.html": page(found)}


def markdown(found: Found) -> str:
    """A Markdown table, then every pair."""
    head, rows = _cells(found)
    pair_head, pair_rows = _pair_cells(found)
    notes = [f"- {_md(note)}" for note in found["notes"]]
    parts = ["# Leaderboard", _md(caption(found)), _md_table(head, rows), *(["\n".join(notes)] if notes else [])]
    return "\n\n".join([*parts, "## Every pair", _md_table(pair_head, pair_rows)]) + "\n"


def _pair_cells(found: Found) -> tuple[list[str], list[list[str]]]:
    head = ["first", "second", "figure", "difference", "p", "p (Holm)", "verdict"]
    rows = []
    for pair in found["pairs"]:
        p, value = pair["p_holm"], pair["difference"]["value"]
        sides = [pair["first"], pair["second"]]
        ahead = sides[(value < 0) != (metric(pair["metric"]).better == "lower")] if value else ""
        verdict = f"{ahead} is better" if ahead and p is not None and p < _ALPHA else "no difference shown"
        told = [metric(pair["metric"]).name, _figure(pair["difference"]), p_shown(pair["p"]), p_shown(p)]
        rows.append([*sides, *told, verdict])
    return head, rows


def _md(said: str) -> str:
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in " ".join(html.shown(said).split()))


def _md_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *([_md(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def latex(found: Found) -> str:
    """A table to be cited; it needs the packages booktabs and (for wide ones) graphicx.

    >>> tex("50 % & a_b")
    '50 \\\\% \\\\& a\\\\_b'
    """
    head, rows = _cells(found, "$-$")
    body = [" & ".join(tex(cell).replace(r"\$-\$", "$-$") for cell in row) + r" \\" for row in rows]
    return "\n".join(
        [
            r"% needs \usepackage{booktabs,graphicx}",
            r"\begin{table}",
            r"  \centering",
            rf"  \caption{{{tex(caption(found))}}}",
            rf"  \label{{tab:leaderboard-{found['task']}}}",
            r"  \resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"  \begin{{tabular}}{{rl{'c' * (len(head) - 3)}r}}",
            r"    \toprule",
            "    " + " & ".join(tex(cell) for cell in head) + r" \\",
            r"    \midrule",
            *(f"    {line}" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}}",
            r"\end{table}",
            "",
        ]
    )


def tex(said: str) -> str:
    """Text as LaTeX sets it, whatever is in it.

    >>> print(tex("50 % & a_b"))
    50 \\% \\& a\\_b
    """
    plain = " ".join(html.shown(said).replace("–", "--").split())
    return "".join(_TEX.get(c, c) for c in plain)


def page(found: Found) -> str:
    """A self-contained page."""
    head, rows = _cells(found)
    pair_head, pair_rows = _pair_cells(found)
    notes = html.tag("ul", *(html.tag("li", note) for note in found["notes"])) if found["notes"] else None
    models = [
        (model["name"], model["folder"], str(model["model"].get("name", "")), f"{model['n']:,}", model["abstained"])
        for model in found["models"]
    ]
    board = html.table(None, head[1:], [row[1:] for row in rows], kinds="t" + "n" * (len(head) - 2))
    top = html.tag("p", "Attune · offline evaluation", class_="kind"), html.tag("h1", "Leaderboard")
    return html.page(
        f"Leaderboard: {found['task']}",
        html.tag("header", *top),
        html.tag("p", caption(found), class_="abstract"),
        html.section("models", "Models", board, notes),
        html.section("pairs", "Every pair", html.table(None, pair_head, pair_rows, kinds="tttnnnt")),
        html.section("folders", "Where from", html.table(
            None, ("model", "folder", "name", "rows", "abstained"), models, kinds="tctnn")),
    )  # fmt: skip
