"""`report.html`: a report as one self-contained page. A pure function of what `report.json` holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from assistant.evaluate.report import colophon, contrasts, sections
from assistant.evaluate.report.glossary import count, headline, interval, metric, number
from assistant.evaluate.report.html import Markup, joined, page, tag

Report = Mapping[str, Any]
_TASKS: Mapping[str, str] = {
    "labels": "Emotion labels",
    "emotion": "Emotions",
    "sentiment": "Sentiment",
    "stress": "Stress",
    "affect": "Valence and arousal",
    "mood": "Mood over sessions",
    "situnes": "Music for the moment",
    "logs": "What another policy would have earned",
}
_CLUSTERS: Mapping[str, str] = {
    "voice": "speaker",
    "mood": "session",
    "situnes": "person|people",
    "logs": "cluster",
}
_IN: Mapping[str, str] = {"voice": " in speech", "text": " in text"}


def document(report: Report) -> str:
    """The page. Whatever varies between two runs of one command stands in elements of class `varies`."""
    body = [
        sections.overall(report),
        contrasts.compared(report),
        sections.sets(report),
        sections.confused(report),
        sections.classes(report),
        sections.curves(report),
        contrasts.groups(report),
        contrasts.conditions(report),
        contrasts.folds(report),
        colophon.leakage(report),
        colophon.limits(report),
        colophon.bad_rows(report),
        colophon.cost(report),
        colophon.made(report),
    ]
    return page(f"{title(report)} – Attune evaluation", _header(report, body), *body, colophon.footer(report))


def title(report: Report) -> str:
    """What was measured, with what, on what.

    >>> title({"task": "stress", "options": {"modality": "text"}, "model": {"name": "text"},
    ...        "provenance": {"data": {"name": "notes.csv"}}})
    'Stress in text: text on notes.csv'
    """
    what = _TASKS.get(report["task"], report["task"]) + _IN.get(report["options"].get("modality", ""), "")
    return f"{what}: {report['model']['name']} on {_data(report)}"


def _data(report: Report) -> str:
    return str(
        report.get("provenance", {}).get("data", {}).get("name") or report["options"].get("data", "your data")
    )


def abstract(report: Report) -> str:
    """The report in a few sentences, with the figure that it leads with."""
    clusters = report.get("clusters")
    kind = _CLUSTERS.get(report["task"], _CLUSTERS.get(report["options"].get("modality", ""), "cluster"))
    rows = count(report["n"], "row") + (
        f" of {count(clusters, *kind.split('|'))}" if clusters and clusters < report["n"] else ""
    )
    said = [f"The model {report['model']['name']} read {rows} in {_data(report)}."]
    for key in headline(report["task"], report["metrics"]):
        found, known = report["metrics"][key], metric(key)
        if found["value"] is None:
            said.append(f"{known.name} is undefined here.")
            continue
        inside = interval(found)
        said.append(
            f"{known.name}{f', {known.meaning},' if known.meaning else ''} is {number(found['value'])}"
            + (f" (95 % interval {inside})." if inside else " (without an interval).")
        )
    chance = len(report.get("confusion") or ())
    if chance > 1 and headline(report["task"], report["metrics"])[:1] == ("uar",):
        said.append(f"Chance over {chance} classes is {number(1 / chance)}.")
    if abstained := sum(report["abstained"].values()):
        said.append(f"It abstained from {count(abstained, 'row')} ({abstained / max(1, report['n']):.1%}).")
    return " ".join(said)


def _header(report: Report, body: list[Markup]) -> Markup:
    when = str(report.get("provenance", {}).get("when", ""))
    heads = []
    for key in headline(report["task"], report["metrics"])[:3]:
        found = report["metrics"][key]
        inside = interval(found, " – ")
        heads.append(
            tag(
                "div",
                tag("dt", metric(key).name),
                tag("dd", number(found["value"]), class_="value"),
                tag("dd", f"95 % interval {inside}" if inside else "no interval", class_="more"),
            )
        )
    coverage = report["metrics"].get("coverage", {}).get("value")
    told = f"{coverage:.1%} answered" if coverage is not None else ""
    heads.append(
        tag("div", tag("dt", "Rows"), tag("dd", f"{report['n']:,}", class_="value"), tag("dd", told, class_="more"))
    )
    return joined(
        [
            tag(
                "header",
                tag("p", "Attune · offline evaluation", class_="kind"),
                tag("h1", title(report)),
                tag("p", tag("time", when[:10], datetime=when, class_="varies") if when else None, class_="by"),
            ),
            tag("p", abstract(report), class_="abstract"),
            tag("dl", *heads, class_="heads"),
            _contents(body),
        ]
    )


def _contents(body: list[Markup]) -> Markup:
    links = []
    for part in body:
        if part:
            name = part.split('id="', 1)[1].split('"', 1)[0]
            words = part.split("</h2>", 1)[0].rsplit(">", 1)[1]
            links.append(tag("li", tag("a", Markup(words), href=f"#{name}")))
    return tag("nav", tag("ul", *links), aria_label="Contents")
