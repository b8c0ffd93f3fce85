"""Texts and code name scripts by their path: each of them is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

NAMED = re.compile(r"(?<![\w/.-])scripts/[\w/-]+(?:\.\w+)?")
RUN = re.compile(r"python -m (scripts\.[\w.]*\w)")
SUFFIXES = {".md", ".py", ".toml", ".sh", ".yml", ".yaml", ".txt", ".json", ""}
FOLDERS = ("assistant", "models", "scripts", "tests", ".ci", ".github")


def texts() -> Iterator[Path]:
    """The project's own files that people read."""
    yield from (file for file in ROOT.iterdir() if file.is_file())
    for folder in FOLDERS:
        yield from (file for file in (ROOT / folder).rglob("*") if file.is_file() and file.suffix in SUFFIXES)


def test_every_script_that_is_named_anywhere_exists() -> None:
    named = {
        (path, file.relative_to(ROOT))
        for file in texts()
        if "__pycache__" not in file.parts and file.suffix in SUFFIXES
        for text in (file.read_text(encoding="utf-8", errors="ignore"),)
        for path in (*NAMED.findall(text), *(f"{module.replace('.', '/')}.py" for module in RUN.findall(text)))
    }
    assert len(named) > 50
    assert not sorted((path, str(file)) for path, file in named if not (ROOT / path).exists())
