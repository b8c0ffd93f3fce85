"""The report as files: valid, the same twice, self-contained, and safe whatever the data are called."""

from __future__ import annotations

import copy
import csv
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from assistant.cli import main
from assistant.config import shipped_models
from assistant.errors import Unavailable
from assistant.evaluate.report import files
from assistant.evaluate.report.glossary import choose_headline, get_metric
from assistant.evaluate.report.limitations import list_limits
from assistant.evaluate.report.model_card import model_card
from assistant.evaluate.report.page import report_page
from assistant.evaluate.report.plots import bar, confusion, levels, reliability, risk_coverage, ticks
from assistant.evaluate.report.provenance import describe_model, describe_run, hash_file
from assistant.evaluate.report.report import File, Measured, Report, read_report, to_plain, to_struct
from assistant.evaluate.report.schema import schema
from assistant.evaluate.report.view import Shape, Table
from assistant.inference.card import read_card
from tests.conftest import ROOT
from tests.evaluate.report.reports import (
    HOSTILE,
    bare_report,
    figure,
    full_report,
    hostile_report,
    labels_report,
    many_classes_report,
)

READING = Path(sys.modules["assistant"].__path__[0]) / "demo" / "reading.flac"
EVERY = (full_report, labels_report, many_classes_report, bare_report)
TEXTS = (
    ("I am so happy today!", "joy"),
    ("Leave me alone, I hate this.", "anger"),
    ("I cried all night.", "sadness"),
    ("What a wonderful present, thank you!", "joy"),
    ("How dare you!", "anger"),
    ("Nobody came, and I miss them.", "sadness"),
)
VARYING = re.compile(r'<(time|span)[^>]* class="varies">[^<]*</\1>|<time [^>]*>')


class Tags(HTMLParser):
    """Every element and attribute that a browser would see, and whether elements close in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.unbalanced: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.unbalanced += self._open

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((name, dict(attributes)))
        if name not in ("meta", "br"):
            self._open.append(name)

    def handle_startendtag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.seen.append((name, dict(attributes)))

    def handle_endtag(self, name: str) -> None:
        if not self._open or self._open.pop() != name:
            self.unbalanced.append(name)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def a_table(folder: Path, rows: tuple[tuple[str, str], ...] = TEXTS, column: str = "emotion") -> Path:
    file = folder / "texts.csv"
    with file.open("w", newline="", encoding="utf-8") as opened:
        csv.writer(opened).writerows([("text", column), *rows])
    return file


def without_times(report: dict[str, Any]) -> dict[str, Any]:
    rest = copy.deepcopy(report)
    del rest["provenance"]["when"], rest["seconds"]
    rest.pop("cost", None)
    return rest


def page_of(report: dict[str, Any]) -> str:
    return report_page(to_struct(report, Report))


def card_of(report: dict[str, Any]) -> str:
    return model_card(to_struct(report, Report))


def evaluated(out: Path, *args: str) -> dict[str, str]:
    assert main(["evaluate", *args, "--out", str(out), "--bootstrap", "50"]) == 0
    return {name: (out / name).read_text(encoding="utf-8") for name in files.FILES.split(", ")}


# the schema


def test_the_schema_is_a_schema_and_the_command_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert main(["evaluate", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == schema()


@pytest.mark.parametrize("made", EVERY)
def test_reports_fit_the_schema(made: Any) -> None:
    jsonschema.validate(made(), schema())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", "attune-evaluation/2"),
        ("n", -1),
        ("metrics", {"uar": 0.5}),
        ("metrics", {"uar": {"value": 0.5}}),
        ("model", {"name": "voice"}),
        ("abstained", {"empty": "two"}),
        ("gaps", [{"column": "gender", "metric": "uar", "verdict": "unfair"}]),
        ("provenance", {}),
    ],
)
def test_what_is_not_a_report_does_not_fit_the_schema(key: str, value: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(full_report() | {key: value}, schema())


@pytest.mark.parametrize("made", [*EVERY, hostile_report])
def test_a_report_that_was_written_is_read_without_loss(made: Any, tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(made()), encoding="utf-8")
    assert to_plain(read_report(file)) == to_plain(made())


def test_a_report_of_an_older_version_may_lack_members(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text('{"task": "stress", "n": 3, "metrics": {}, "model": {"name": "text"}}', encoding="utf-8")
    report = read_report(file)
    assert (report.task, report.groups, report.seconds) == ("stress", {}, 0)


def test_every_key_of_a_full_report_is_in_the_schema() -> None:
    assert set(full_report()) <= set(schema()["properties"])


@pytest.mark.parametrize("task", ["emotion", "sentiment", "stress", "labels", "affect"])
def test_what_a_run_writes_fits_the_schema(task: str, tmp_path: Path) -> None:
    labels = {
        "sentiment": ("positive", "negative", "negative"),
        "stress": ("0", "1", "1"),
        "labels": ("joy|love", "anger", ""),
        "affect": ("0.5", "-0.5", "-0.9"),
    }.get(task, ("joy", "anger", "sadness"))
    column = "valence" if task == "affect" else task
    rows = tuple((text, labels[at % 3]) for at, (text, _) in enumerate(TEXTS))
    files = evaluated(tmp_path / "out", "text", "--data", str(a_table(tmp_path, rows, column)), "--task", task)
    report = json.loads(files["report.json"])
    jsonschema.validate(report, schema())
    assert not Tags(files["report.html"]).unbalanced
    assert get_metric(choose_headline(task, report["metrics"])[0]).name in files["report.html"]


def test_sessions_have_a_page_and_a_card_too(tmp_path: Path) -> None:
    file = tmp_path / "sessions.csv"
    file.write_text("session,order,text,emotion\na,1,I am so happy,joy\na,2,I hate it,anger\nb,1,So sad,sadness\n")
    files = evaluated(tmp_path / "out", "mood", "--data", str(file))
    jsonschema.validate(json.loads(files["report.json"]), schema())
    assert "Mood over sessions" in files["report.html"]
    assert "Mood over sessions" in files["card.md"]


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_recommendations_have_a_page_and_a_card_too(data: Path, tmp_path: Path) -> None:
    files = evaluated(tmp_path / "out", "recommend", "--data", str(data / "recsys" / "situnes"))
    jsonschema.validate(json.loads(files["report.json"]), schema())
    assert "AUC with situation" in files["report.html"]
    assert "AUC with situation" in files["card.md"]


# twice the same


def test_two_runs_over_texts_differ_in_their_times_alone(tmp_path: Path) -> None:
    data = a_table(tmp_path)
    first, second = (evaluated(tmp_path / "out", "text", "--data", str(data)) for _ in range(2))
    same_but_for_times(first, second)


def test_two_runs_over_speech_differ_in_their_times_alone(tmp_path: Path) -> None:
    data = tmp_path / "clips.csv"
    rows = [f"{READING},{'ab'[at % 2]},{name},{at},{at + 2}" for at, name in enumerate(("joy", "neutral", "joy"))]
    data.write_text("\n".join(["file,speaker,emotion,trim_start_s,trim_end_s", *rows]) + "\n")
    first, second = (evaluated(tmp_path / "out", "voice", "--data", str(data)) for _ in range(2))
    same_but_for_times(first, second)


def same_but_for_times(first: dict[str, str], second: dict[str, str]) -> None:
    assert first["predictions.csv"] == second["predictions.csv"]
    reports = [json.loads(files["report.json"]) for files in (first, second)]
    assert json.dumps(without_times(reports[0])) == json.dumps(without_times(reports[1]))
    pages = [VARYING.sub("", files["report.html"]) for files in (first, second)]
    assert pages[0] == pages[1]
    cards = [re.sub(r"Measured on .*", "", files["card.md"]) for files in (first, second)]
    assert cards[0] == cards[1]


def test_page_and_card_are_made_from_the_report_alone(tmp_path: Path) -> None:
    files = evaluated(tmp_path / "out", "text", "--data", str(a_table(tmp_path)))
    report = json.loads(files["report.json"])
    assert page_of(report) == files["report.html"]
    assert card_of(report) == files["card.md"]


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


# where it comes from


def test_the_exact_command_is_told(tmp_path: Path) -> None:
    data = a_table(tmp_path)
    typed = ["evaluate", "text", "--data", str(data), "--out", str(tmp_path / "my out"), "--bootstrap", "5"]
    subprocess.run([sys.executable, "-m", "assistant", *typed], check=True, capture_output=True, timeout=100)
    report = json.loads((tmp_path / "my out" / "report.json").read_text())
    assert report["provenance"]["command"] == ["assistant", *typed]
    assert shlex.join(["assistant", *typed]) in (tmp_path / "my out" / "card.md").read_text()


def test_hashes_tell_what_was_read(tmp_path: Path) -> None:
    data, mapped = a_table(tmp_path), tmp_path / "map.json"
    mapped.write_text("{}")
    told = describe_run(data, seed=7, label_map=mapped, command=["assistant"])
    assert told.data == File(f"{tmp_path.name}/texts.csv", hash_file(data))
    assert told.label_map == File("map.json", hash_file(mapped))
    assert told.seed == 7
    assert {"numpy", "onnxruntime"} <= set(told.versions)
    assert str(tmp_path) not in json.dumps(to_plain(told))
    before = hash_file(data)
    data.write_text(data.read_text() + "more,joy\n")
    assert hash_file(data) != before


def test_a_folder_has_a_hash_of_the_files_in_it(tmp_path: Path) -> None:
    (tmp_path / "db.yaml").write_text("name: mine")
    before = hash_file(tmp_path)
    (tmp_path / "audio").mkdir()
    (tmp_path / "audio" / "a.wav").write_bytes(b"x")
    assert hash_file(tmp_path) == before
    (tmp_path / "table.csv").write_text("file")
    assert hash_file(tmp_path) != before
    assert hash_file(tmp_path / "nothing") == ""


def test_a_model_is_told_by_its_hash_licence_and_training_data() -> None:
    card = read_card(shipped_models() / "voice")
    told = describe_model(card)
    assert told.sha256 == card.sha256
    assert told.licence == card.licence
    assert told.training_data
    assert {"name", "licence"} <= set(to_plain(told.training_data[0]))
    json.dumps(to_plain(told))


# the page


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


def test_hostile_names_stay_text_in_the_card() -> None:
    card = card_of(hostile_report())
    outside = re.sub(r"^(`{3,})\n.*?\n\1$", "", card, flags=re.DOTALL | re.MULTILINE)
    assert "<script" not in outside.replace("\\<script", "")
    assert "\u202e" not in card
    assert not re.search(r"(?<!\\)<", outside)
    rows = [line for line in outside.splitlines() if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) > 2 for row in rows)


def test_a_file_name_that_is_no_utf8_is_written_as_an_escape(tmp_path: Path) -> None:
    report = full_report()
    report["options"]["data"] = "caf\udce9.csv"
    files.write_report(to_struct(report, Report), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["options"]["data"] == "caf\udce9.csv"
    assert read_report(tmp_path / "report.json").options["data"] == "caf\udce9.csv"
    assert "caf\\udce9.csv" in (tmp_path / "report.html").read_text()


def test_numbers_that_are_not_numbers_are_null(tmp_path: Path) -> None:
    report = full_report()
    report["metrics"]["uar"] = {"value": float("nan"), "low": float("inf"), "high": 1.0}
    files.write_report(msgspec.convert(report, Report), tmp_path)
    assert json.loads((tmp_path / "report.json").read_text())["metrics"]["uar"]["value"] is None
    assert to_plain(report["metrics"])["uar"] == {"value": None, "low": None, "high": 1.0}


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


# what it doesn't show


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


# plots


def points(shapes: Sequence[Shape], kind: str) -> Iterator[Mapping[str, str]]:
    return (one.attributes for one in shapes if one.element == kind)


def test_a_bar_puts_value_and_interval_where_they_belong() -> None:
    drawn = bar(Measured(0.5, 0.4, 0.7), (0.0, 1.0), mark=0.25)
    (dot,) = points(drawn, "circle")
    assert dot["cx"] == "50.00%"
    lines = {a["class"]: (a["x1"], a["x2"]) for a in points(drawn, "line")}
    assert lines["whisker"] == ("40.00%", "70.00%")
    assert lines["mark"] == ("25.00%", "25.00%")
    assert not list(points(bar(Measured(None, None, None), (0.0, 1.0)), "circle"))
    (outside,) = points(bar(Measured(3.0, None, None), (0.0, 1.0)), "circle")
    assert outside["cx"] == "100.00%"


def test_a_reliability_diagram_has_a_point_per_bin_that_holds_predictions() -> None:
    drawn = reliability("r", [0.0, 0.5, 1.0], [0, 10], [None, 0.8], [None, 0.6])
    (dot,) = points(drawn.shapes, "circle")
    ideal = next(a for a in points(drawn.shapes, "path") if a["class"] == "ideal")
    numbers = [float(part) for part in re.findall(r"[\d.]+", str(ideal["d"]))]
    left, bottom, right, top = numbers
    assert float(str(dot["cx"])) == pytest.approx(left + 0.8 * (right - left), abs=0.01)
    assert float(str(dot["cy"])) == pytest.approx(bottom + 0.6 * (top - bottom), abs=0.01)
    assert len(list(points(drawn.shapes, "rect"))) == 1


def test_empty_curves_are_drawn_as_empty_axes() -> None:
    assert "No row was answered" in risk_coverage("r", [], []).description
    assert "0 bins" in reliability("r", [0.0, 1.0], [0], [None], [None]).description


def test_a_cell_of_the_confusion_matrix_is_as_strong_as_its_share() -> None:
    drawn = confusion("c", {"a": {"a": 3, "b": 1}, "b": {"a": 0, "b": 0}})
    strengths = [a["fill-opacity"] for a in points(drawn.shapes, "rect") if "fill-opacity" in a]
    assert strengths == ["0.750", "0.250", "0.000", "0.000"]


def test_a_level_without_an_interval_still_has_its_point() -> None:
    drawn = levels("l", "dB", "UAR", [(0.0, Measured(0.4, 0.3, 0.5)), (10.0, Measured(0.6, None, None))], 0.7)
    assert len(list(points(drawn.shapes, "circle"))) == 2
    assert len([a for a in points(drawn.shapes, "line") if a["class"] == "whisker"]) == 1


@pytest.mark.parametrize(("low", "high"), [(0, 1e-6), (0, 3.7), (-20, 20), (16, 16), (0, 1e9)])
def test_ticks_are_few_in_order_and_inside(low: float, high: float) -> None:
    at = ticks(low, high)
    assert 1 <= len(at) <= 6
    assert at == sorted(set(at))
    assert all(low - 1e-9 <= t <= high + 1e-9 for t in at)


# small pieces


def test_an_empty_section_is_left_out_of_the_page_and_its_contents() -> None:
    page = page_of(bare_report())
    assert "By fold" not in page
    assert "By fold" in page_of(full_report())
    contents = re.findall(r'<li><a href="#([\w-]+)">([^<]+)</a></li>', page_of(full_report()))
    assert contents == re.findall(r'<section id="([\w-]+)"[^>]*><h2[^>]*>([^<]+)</h2>', page_of(full_report()))


def test_a_table_counts_its_cells() -> None:
    with pytest.raises(ValueError, match="2 cells"):
        Table(("a", "b"), [("only one",)], "tt")


def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".report.json.part").mkdir()
    with pytest.raises(Unavailable) as raised:
        files.write_report(to_struct(full_report(), Report), tmp_path / "out")
    assert raised.value.code == "out_unwritable"


def test_texts_are_on_neither_page_nor_card(tmp_path: Path) -> None:
    files = evaluated(tmp_path / "out", "text", "--data", str(a_table(tmp_path)), "--with-text")
    assert "wonderful present" in files["predictions.csv"]
    assert "wonderful present" not in files["report.html"] + files["card.md"] + files["report.json"]


def test_hostile_text_is_what_the_tests_think_it_is() -> None:
    assert HOSTILE in str(hostile_report()["model"]["name"])
