"""The sections of `report.html` behind the figures: leakage, limits, bad rows, cost, and how it was made."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from assistant.evaluate.report.glossary import count
from assistant.evaluate.report.html import Markup, Part, section, table, tag
from assistant.evaluate.report.limitations import limits as _known

Report = Mapping[str, Any]


def leakage(report: Report) -> Markup:
    """What is on both sides of training and test."""
    found = report.get("leakage") or {}
    if not found:
        return Markup("")
    rows: list[tuple[Part, ...]] = []
    for what in ("speakers", "audio", "text"):
        if isinstance(one := found.get(what), Mapping):
            first = ", ".join(_named(name) for name in one.get("first", ())[:5])
            rows.append((what, str(one.get("shared", one.get("pairs", "–"))), first or "–"))
    against = found.get("against")
    sides = f"Against {against}" if against else "Between the folds"
    said = f"{sides}: {found.get('verdict', '')}."
    return section(
        "leakage",
        "Leakage",
        tag("p", said),
        table("What lies on both sides.", ("", "shared", "the first of them"), rows, kinds="tnw") if rows else None,
    )


def _named(one: Any) -> str:
    if isinstance(one, Mapping):
        return " = ".join(str(value) for value in one.values())
    return " = ".join(str(value) for value in one) if isinstance(one, list | tuple) else str(one)


def limits(report: Report) -> Markup:
    """What the figures don't show."""
    said = [*_known(report), *(str(note)[:1].upper() + str(note)[1:] + "." for note in report["notes"])]
    return section("limits", "Limits and notes", tag("ul", *(tag("li", one) for one in said), class_="plain"))


def bad_rows(report: Report) -> Markup:
    """Rows that couldn't be scored, the first of them with the reason."""
    bad = report.get("bad_rows") or {}
    if not bad.get("count"):
        return Markup("")
    rows = [(f"{row['line']:,}", str(row.get("file", "")), str(row["reason"])) for row in bad["first"]]
    named = any(row[1] for row in rows)
    shown = rows if named else [(line, why) for line, _, why in rows]
    left = bad["count"] - len(rows)
    caption = f"{count(bad['count'], 'row')} could not be scored" + (
        f"; the first {len(rows)} are shown." if left else "."
    )
    head = ("line", "file", "why") if named else ("line", "why")
    return section("bad-rows", "Bad rows", table(caption, head, shown, kinds="ncw" if named else "nw"))


def cost(report: Report) -> Markup:
    """Time and memory: the one section that differs from run to run."""
    found = report.get("cost") or {}
    rows = [("whole run", f"{report['seconds']:,.1f} s")] if "seconds" in report else []
    latency = {k: v for k, v in (found.get("latency_ms") or {}).items() if k.startswith("p")}
    for name, words, unit in (
        ("rows_per_s", "rows per second", ""),
        ("audio_s", "audio that was read", " s"),
        ("real_time_factor", "real-time factor", ""),
        ("peak_rss_mb", "peak memory", " MB"),
        ("model_mb", "model", " MB"),
    ):
        if found.get(name) is not None:
            rows.append((words, f"{found[name]:,.3g}{unit}" if found[name] < 100 else f"{found[name]:,.0f}{unit}"))
    rows += [
        (f"latency of a row, {name}", f"{value:,.1f} ms") for name, value in latency.items() if value is not None
    ]
    cells = [(words, tag("span", value, class_="varies")) for words, value in rows]
    return section("cost", "Time and memory", table("On the machine named below.", ("", ""), cells, kinds="tn"))


def made(report: Report) -> Markup:
    """How it was made: enough to make it again."""
    made = report.get("provenance") or {}
    model = report["model"]
    rows: list[tuple[Part, ...]] = []
    if data := made.get("data"):
        rows.append(("data", f"{data['name']}, SHA-256 {data['sha256'] or 'unknown'}"))
    if mapped := made.get("label_map"):
        rows.append(("label map", f"{mapped['name']}, SHA-256 {mapped['sha256']}"))
    hashes = model["sha256"] if isinstance(model["sha256"], Mapping) else {model["name"]: model["sha256"]}
    rows += [("model", f"{name}, SHA-256 {sha}") for name, sha in hashes.items()]
    if stem := model.get("stem"):
        rows.append(("stem", f"{stem['name']}, SHA-256 {stem['sha256']}"))
    if model.get("licence"):
        rows.append(("licence of the model", model["licence"]))
    if made:
        rows.append(("seed", str(made["seed"])))
        versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
        rows.append(("versions", f"attune {made['attune']}, Python {made['python']}, {versions}"))
        machine = made["machine"]
        rows.append(("machine", f"{machine['cpu']}, {count(machine['cores'], 'core')}, {made['platform']}"))
    asked = {k: v for k, v in report["options"].items() if v not in (None, "", (), [], {}, False)}
    rows += [(f"option {name}", _option(value)) for name, value in asked.items() if name != "label_map"]
    return section(
        "made",
        "How it was made",
        tag("pre", tag("code", shlex.join(made["command"]))) if made.get("command") else None,
        table("Two runs of this command on this machine give the same figures.", ("", ""), rows, kinds="tw"),
    )


def _option(value: Any) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value)


def footer(report: Report) -> Markup:
    """What the intervals are, and where the numbers are."""
    return tag(
        "footer",
        "Intervals are 95 % percentile bootstrap over whole clusters: speakers, people or sessions where the data "
        "name them. The numbers of this page, and more, are in report.json and predictions.csv beside it.",
    )
