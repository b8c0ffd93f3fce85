"""The documentation tells the truth: what it shows to paste works, and its links lead somewhere."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from assistant.demo.story import RECORDING
from tests.conftest import ROOT

README = ROOT / "README.md"
SERVER = ROOT / "assistant" / "server" / "README.md"
PYTHON = [README, ROOT / "assistant" / "evaluate" / "README.md"]


def pages() -> list[Path]:
    """The project's own Markdown files."""
    folders = ("assistant", "models", "scripts", "tests", ".ci", ".github")
    return sorted([*ROOT.glob("*.md"), *(file for folder in folders for file in (ROOT / folder).rglob("*.md"))])


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives to a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    titles = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target.exists() and target.is_relative_to(ROOT)
        if not inside or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert not broken


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_of_the_project_that_is_named_exists(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    paths = re.findall(r"`((?:assistant|models|scripts|tests)/[\w./-]+)`", text)
    modules = re.findall(r"`(\w+\.py)`", text)
    known = {file.name for folder in ("assistant", "scripts") for file in (ROOT / folder).rglob("*.py")}
    assert [path for path in paths if not (ROOT / path).exists()] == []
    assert [name for name in modules if name not in known] == []


def test_the_pages_that_are_linked_are_found() -> None:
    found = {str(page.relative_to(ROOT)) for page in pages()}
    assert {"README.md", ".github/CONTRIBUTING.md", "assistant/mood/README.md", "models/text/README.md"} <= found


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_python_examples_work_as_pasted(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(RECORDING, "clip.wav")  # libsndfile looks into the file, not at its name
    examples = blocks(page, "python")
    assert examples
    for example in examples:
        exec(compile(example, str(page), "exec"), {})
        assert re.search(r"\d\.\d|no estimate: random_characters", capsys.readouterr().out)


@pytest.mark.slow
def test_the_shell_examples_work_as_pasted(tmp_path: Path) -> None:
    examples = [*blocks(README, "bash"), *blocks(SERVER, "bash")]
    assert len(examples) == 4
    port = "18080"
    script = "\n".join(["set -eu", *examples, "kill %1", "wait"]).replace("localhost:8080", f"localhost:{port}")
    (tmp_path / "examples.sh").write_text(script)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "examples.sh"],
        cwd=tmp_path,
        env={**os.environ, "PATH": path, "ATTUNE_PORT": port},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    answers = [json.loads(line) for line in said.splitlines() if '"recommendations"' in line]
    assert [answer["mood"] is None for answer in answers] == [True, False], said
    assert all(answer["recommendations"] for answer in answers), said
    assert "has no catalogue" not in done.stderr
    assert '"ek_' in said
    assert "policy.notice" in said
    assert re.search(r"affect\.result 0\.\d+", said)
