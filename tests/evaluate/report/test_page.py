"""The page and the card: self-contained, safe whatever the data are called, and complete."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from assistant.evaluate.report.conversion import to_struct
from assistant.evaluate.report.glossary import get_metric
from assistant.evaluate.report.report import Report
from assistant.evaluate.report.sections import list_limits
from assistant.evaluate.report.view import Table
from tests.conftest import ROOT
from tests.evaluate.report.reports import (
    HOSTILE,
    bare_report,
    figure,
    full_report,
    hostile_report,
)
from tests.evaluate.report.runs import EVERY, VARYING, Tags, card_of, page_of


@pytest.mark.parametrize("made", [*EVERY, hostile_report])
def test_the_page_is_well_formed_and_fetches_and_runs_nothing(made: Any) -> None:
    page = page_of(made())
    tags = Tags(page)
    assert not tags.unbalanced
    names = {name for name, _ in tags.seen}
    assert not names & {"script", "img", "link", "iframe", "object", "embed", "base", "form", "image", "use"}
    for _, attributes in tags.seen:
        assert not [key for key in attributes if key.startswith("on")]
        assert not {"src", "srcset", "xlink:href", "action", "data"} & set(attributes)
        assert (attributes.get("href") or "#").startswith("#")
    style = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]
    policies = [a["content"] for name, a in tags.seen if name == "meta" and a.get("http-equiv")]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_hostile_names_show_as_they_are_and_never_become_markup() -> None:
    tags = Tags(page_of(hostile_report()))
    names = [name for name, _ in tags.seen]
    assert set(names) == {name for name, _ in Tags(page_of(full_report())).seen}
    text = "".join(tags.text)
    assert "<script>alert(1)</script>" in text
    assert "\u202e" not in text
    assert "\x00" not in text


def test_hostile_text_is_what_the_tests_think_it_is() -> None:
    assert HOSTILE in str(hostile_report()["model"]["name"])


def test_hostile_names_stay_text_in_the_card() -> None:
    card = card_of(hostile_report())
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", card, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside.replace("\\<script", "")
    assert "\u202e" not in card
    assert not re.search(r"(?<!\\)<", outside)
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) > 2 for row in rows)


def test_every_plot_has_a_title_and_a_description_and_every_table_names_its_rows() -> None:
    tags = Tags(page_of(full_report()))
    ids = [a["id"] for _, a in tags.seen if a.get("id")]
    assert len(ids) == len(set(ids))
    drawn = [a for name, a in tags.seen if name == "svg"]
    assert sum(a.get("role") == "img" for a in drawn) >= 4
    for attributes in drawn:
        named = (attributes.get("aria-labelledby") or "").split()
        assert attributes.get("aria-hidden") == "true" or (len(named) == 2 and set(named) <= set(ids))
    for _, attributes in tags.seen:
        for name in (attributes.get("aria-labelledby") or "").split():
            assert name in ids
        if (attributes.get("href") or "").startswith("#"):
            assert str(attributes["href"])[1:] in ids
    bodies = page_of(full_report()).split("<tbody>")[1:]
    assert all(row.startswith("<tr><th scope=") for row in bodies)


def test_every_figure_with_its_interval_is_on_the_page_and_in_the_card() -> None:
    report = full_report()
    for made in (page_of(report), card_of(report)):
        for key, found in report["metrics"].items():
            assert get_metric(key).name in made
            assert f"{found['value']:.3f}" in made
            assert f"{found['low']:.3f} to {found['high']:.3f}" in made


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("conditions", "Under other conditions"),
        ("folds", "By fold"),
        ("leakage", "In training and in the test"),
        ("curves", "Risk and coverage"),
        ("confusion", "Confusion matrix"),
        ("groups", "UAR by group"),
        ("gaps", "Gaps:"),
        ("compared", "Read in other ways"),
        ("bad_rows", "could not be scored"),
        ("cost", "real-time factor"),
    ],
)
def test_a_section_is_there_exactly_when_the_report_has_it(key: str, words: str) -> None:
    report = full_report()
    assert words in page_of(report)
    del report[key]
    assert words not in page_of(report)


def test_an_empty_section_is_left_out_of_the_page_and_its_contents() -> None:
    page = page_of(bare_report())
    assert "By fold" not in page
    assert "By fold" in page_of(full_report())
    contents = re.findall(r'<li><a href="#([\w-]+)">([^<]+)</a></li>', page_of(full_report()))
    assert contents == re.findall(r'<section id="([\w-]+)"[^>]*><h2[^>]*>([^<]+)</h2>', page_of(full_report()))


def test_a_table_counts_its_cells() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        Table(("a", "b"), [("only one",)], "tt")


def test_only_times_and_cost_are_marked_as_varying() -> None:
    report = full_report()
    changed = copy.deepcopy(report)
    changed["provenance"]["when"] = "2031-01-01T00:00:00+00:00"
    changed["seconds"] = 99.0
    changed["cost"] |= {"rows_per_s": 1.0, "latency_ms": {"p50": 1.0, "p90": 2.0, "p99": 3.0}, "peak_rss_mb": 1.0}
    assert page_of(changed) != page_of(report)
    assert VARYING.sub("", page_of(changed)) == VARYING.sub("", page_of(report))
    changed["metrics"]["uar"] = figure(0.5)
    assert VARYING.sub("", page_of(changed)) != VARYING.sub("", page_of(report))


def test_text_is_readable_on_its_ground_in_light_dark_and_print() -> None:
    style = (ROOT / "assistant" / "evaluate" / "report" / "templates" / "page.css").read_text()
    themes = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    assert len(themes) == 3
    for theme in themes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]+)", theme))
        for name in ("ink", "quiet", "main", "warm"):
            assert contrast(colours[name], colours["paper"]) >= 4.5, (name, theme)
        assert contrast(colours["on"], colours["main"]) >= 4.5


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, relative luminance."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(c * 2 for c in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def told_limits(**changed: Any) -> str:
    return " ".join(list_limits(to_struct(full_report() | changed, Report)))


def test_limits_follow_from_the_report() -> None:
    low = {"coverage": figure(0.9)}
    assert "90.0% of the rows were answered" in told_limits(metrics=low)
    assert "answered" not in told_limits(leakage={"verdict": "no leakage found"})
    assert "only 4 clusters" in told_limits(clusters=4)
    assert "independent" in told_limits(clusters=1440)
    assert "no intervals" in told_limits(clusters=1)
    assert "100 rows could not be scored" in told_limits(bad_rows={"count": 100, "first": []})
    assert "Insufficient evidence for 1 group (other)" in told_limits()
    assert "No groups" in told_limits(groups={})
    assert "Leakage found" in told_limits()
    assert "Leakage" not in told_limits(leakage={"verdict": "no leakage found"})
    without = full_report()
    del without["leakage"]
    assert "Leakage" not in " ".join(list_limits(to_struct(without, Report)))
    assert "trained on emodb" not in " ".join(list_limits(to_struct(without, Report)))
    del without["folds"]
    assert "trained on emodb" in " ".join(list_limits(to_struct(without, Report)))
