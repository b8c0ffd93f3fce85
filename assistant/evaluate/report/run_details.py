"""The sections of the page after the figures: leakage, limits, bad rows, cost, and how the report was made."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from assistant.evaluate.report.formatting import format_count, make_sentence
from assistant.evaluate.report.limitations import list_limits
from assistant.evaluate.report.report import File, Report
from assistant.evaluate.report.view import Cell, Section, Table

_COSTS = (
    ("rows_per_s", "rows per second", ""),
    ("audio_s", "audio read", " s"),
    ("real_time_factor", "real-time factor", ""),
    ("peak_rss_mb", "peak memory", " MB"),
    ("model_mb", "model", " MB"),
)


def leakage(report: Report) -> Section:
    """What training and test share."""
    shared, rows = report.leakage, []
    if not shared:
        return Section("leakage", "Leakage")
    for what, one in (("speakers", shared.speakers), ("audio", shared.audio), ("text", shared.text)):
        if one:
            first = ", ".join(_pair(name) for name in (one.first or [])[:5])
            rows.append((what, str(one.shared or 0), first or "–"))
    table = Table(("", "shared", "the first of them"), rows, "tnw", "In training and in the test.")
    sides = f"Against {shared.against}" if shared.against else "Between the folds"
    return Section("leakage", "Leakage", f"{sides}: {shared.verdict}.", tables=[table] if rows else [])


def _pair(names: Any) -> str:
    """One name, or the two names of a pair.

    >>> _pair("anna"), _pair({"ours": "a.wav", "theirs": "b.wav"})
    ('anna', 'a.wav = b.wav')
    """
    parts = names.values() if isinstance(names, Mapping) else names if isinstance(names, list) else [names]
    return " = ".join(map(str, parts))


def limits_and_notes(report: Report) -> Section:
    """What the figures do not show."""
    return Section("limits", "Limits and notes", items=[*list_limits(report), *map(make_sentence, report.notes)])


def bad_rows(report: Report) -> Section:
    """Rows that could not be scored, the first of them with the reason."""
    bad = report.bad_rows
    if not bad or not bad.count:
        return Section("bad-rows", "Bad rows")
    rows = [(f"{row.line:,}", row.reason) for row in bad.first]
    first = f" The first {len(rows)} are shown." if bad.count > len(rows) else ""
    caption = f"{format_count(bad.count, 'row')} could not be scored.{first}"
    return Section("bad-rows", "Bad rows", tables=[Table(("line", "reason"), rows, "nw", caption)])


def cost(report: Report) -> Section:
    """Time and memory: the one section that differs from run to run."""
    rows = [("whole run", f"{report.seconds:,.1f} s")]
    if cost := report.cost:
        values = [(words, getattr(cost, name), unit) for name, words, unit in _COSTS]
        rows += [
            (words, f"{value:,.3g}{unit}" if value < 100 else f"{value:,.0f}{unit}")
            for words, value, unit in values
            if value is not None
        ]
        latency = {key: ms for key, ms in cost.latency_ms.items() if key.startswith("p") and ms is not None}
        rows += [(f"latency of a row, {name}", f"{ms:,.1f} ms") for name, ms in latency.items()]
    cells = [(words, Cell(value, style="varies")) for words, value in rows]
    return Section("cost", "Time and memory", tables=[Table(("", ""), cells, "tn", "On the machine named below.")])


def how_made(report: Report) -> Section:
    """All that is needed to make it again."""
    caption = "Two runs of this command on this machine give the same figures."
    command = shlex.join(report.provenance.command)
    table = Table(("", ""), list(_made(report)), "tw", caption)
    return Section("made", "How it was made", code=command, tables=[table])


def _made(report: Report) -> Iterator[tuple[str, str]]:
    made, model = report.provenance, report.model
    if made.data.name:
        yield "data", file_text(made.data)
    if made.label_map:
        yield "label map", file_text(made.label_map)
    hashes = model.sha256 if isinstance(model.sha256, dict) else {model.name: model.sha256}
    yield from (("model", file_text(File(name, sha256))) for name, sha256 in hashes.items())
    if model.stem and isinstance(model.stem.sha256, str):
        yield "stem", file_text(File(model.stem.name, model.stem.sha256))
    if model.licence:
        yield "licence of the model", model.licence
    if made.attune:
        yield "seed", str(made.seed)
        yield "versions", versions(report)
        yield "machine", machine(report)
    for name, value in report.options.items():
        if name != "label_map" and value not in (None, "", [], {}, False):
            yield f"option {name}", ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def file_text(file: File) -> str:
    """A file by its name and hash."""
    return f"{file.name}, SHA-256 {file.sha256 or 'unknown'}"


def versions(report: Report) -> str:
    """The versions of what computed the figures."""
    made = report.provenance
    packages = ", ".join(f"{name} {version}" for name, version in made.versions.items())
    return f"attune {made.attune}, Python {made.python}, {packages}"


def machine(report: Report) -> str:
    """The machine that the run was on."""
    made = report.provenance
    return f"{made.machine.cpu}, {format_count(made.machine.cores, 'core')}, {made.platform}"
