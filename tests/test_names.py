"""One name for one thing: a class can be found by its name alone."""

from __future__ import annotations

import ast
from collections import defaultdict

from tests.conftest import ROOT


def test_no_two_classes_of_the_package_share_a_name() -> None:
    places = defaultdict[str, list[str]](list)
    for file in sorted((ROOT / "assistant").rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(file.relative_to(ROOT).as_posix())
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
