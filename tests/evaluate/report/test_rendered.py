"""The report in a real browser: light, dark, on a phone and on paper, with everyday and awkward data."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assistant.evaluate.report.conversion import to_struct
from assistant.evaluate.report.documents import report_page
from assistant.evaluate.report.report import Report
from tests.evaluate.report.reports import (
    bare_report,
    full_report,
    hostile_report,
    labels_report,
    many_classes_report,
)

pytestmark = pytest.mark.slow

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
EVERY = (full_report, labels_report, many_classes_report, bare_report, hostile_report)
LOOK = """<!doctype html><title>looking</title><body style="margin:0">
<iframe id="page" src="report.html" style="border:0;width:%dpx;height:900px"></iframe>
<pre id="seen"></pre><script>
document.getElementById("page").addEventListener("load", event => {
  const page = event.target.contentDocument, root = page.documentElement;
  const cells = [...page.querySelectorAll("th, td")].filter(cell => cell.innerText.trim().length > 3);
  const inside = [...page.querySelectorAll("svg[role=img] text")].map(text => {
    const box = text.getBoundingClientRect();
    return [box.left, box.right];
  });
  document.getElementById("seen").textContent = JSON.stringify({
    wide: root.scrollWidth,
    room: root.clientWidth,
    ground: getComputedStyle(root).backgroundColor,
    ink: getComputedStyle(page.body).color,
    towers: cells.filter(cell => cell.clientHeight > 5 * cell.clientWidth).map(cell => cell.innerText),
    outside: inside.filter(([left, right]) => left < -1 || right > root.clientWidth + 1).length,
    plots: page.querySelectorAll("svg[role=img]").length,
    titles: page.title,
    scripts: page.scripts.length,
    images: page.images.length,
    height: root.scrollHeight,
  });
});
</script>"""
"""A page around the report that measures it: the report itself may run no script."""

Look = Callable[..., dict[str, Any]]


@pytest.fixture
def browser() -> str:
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    return found


def run(browser: str, folder: Path, *args: str) -> str:
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--allow-file-access-from-files"]
    done = subprocess.run(
        [browser, *flags, f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", *args],
        capture_output=True,
        timeout=100,
        check=True,
    )
    return done.stdout.decode()


@pytest.fixture
def look(browser: str, tmp_path: Path) -> Look:
    def looked(report: dict[str, Any], *, width: int = 1000, dark: bool = False) -> dict[str, Any]:
        (tmp_path / "report.html").write_text(report_page(to_struct(report, Report)), encoding="utf-8")
        (tmp_path / "look.html").write_text(LOOK % width, encoding="utf-8")
        scheme = ["--blink-settings=preferredColorScheme=0"] if dark else []
        page = run(browser, tmp_path, *scheme, "--dump-dom", (tmp_path / "look.html").as_uri())
        seen = re.search(r'<pre id="seen">(.*?)</pre>', page, re.DOTALL)
        assert seen, page[-2000:]
        found: dict[str, Any] = json.loads(html.unescape(seen[1]))
        return found

    return looked


@pytest.mark.parametrize("width", [1000, 375])
@pytest.mark.parametrize("made", EVERY)
def test_nothing_sticks_out_or_is_squeezed(look: Look, made: Any, width: int) -> None:
    seen = look(made(), width=width)
    assert seen["wide"] <= seen["room"] == width
    assert seen["towers"] == []
    assert seen["outside"] == 0
    assert (seen["scripts"], seen["images"]) == (0, 0)


def test_it_is_light_by_day_and_dark_by_night(look: Look) -> None:
    light, dark = look(full_report()), look(full_report(), dark=True)
    assert brightness(light["ground"]) > 240 > 60 > brightness(light["ink"])
    assert brightness(dark["ground"]) < 40 < 200 < brightness(dark["ink"])
    assert light["plots"] == dark["plots"] == 4


def brightness(colour: str) -> float:
    return sum(int(part) for part in re.findall(r"\d+", colour)[:3]) / 3


def test_a_hostile_name_is_a_title_and_no_more(look: Look) -> None:
    seen = look(hostile_report())
    assert "<script>alert(1)</script>" in seen["titles"]


@pytest.mark.parametrize("made", EVERY)
def test_it_prints_on_a_few_pages(browser: str, tmp_path: Path, made: Any) -> None:
    (tmp_path / "report.html").write_text(report_page(to_struct(made(), Report)), encoding="utf-8")
    paper = tmp_path / "report.pdf"
    run(browser, tmp_path, "--no-pdf-header-footer", f"--print-to-pdf={paper}", (tmp_path / "report.html").as_uri())
    content = paper.read_bytes()
    assert content.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", content)) <= 20
