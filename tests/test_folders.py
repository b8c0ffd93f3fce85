"""Tests lie where the code lies that they test."""

from __future__ import annotations

from tests.conftest import ROOT

APART = {"clients", "laws", "scripts"}
"""Clients of others, promises that cross packages, and the scripts."""


def test_the_folders_of_the_tests_are_those_of_the_package() -> None:
    tests = ROOT / "tests"
    folders = {file.parent.relative_to(tests) for file in tests.rglob("test_*.py") if file.parent != tests}
    assert len(folders) > 20
    beside = {folder for folder in folders if folder.parts[0] not in APART}
    assert not [str(folder) for folder in beside if not (ROOT / "assistant" / folder).is_dir()]
