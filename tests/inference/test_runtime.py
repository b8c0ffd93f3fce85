"""The inference runtime tells nobody anything."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

SWITCH = "assistant.inference.runtime"


def imports_of(module: Path) -> list[str]:
    """Every module that one imports, in the order of its lines."""
    imports: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.Import):
            imports += [(node.lineno, name.name) for name in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            imports.append((node.lineno, node.module))
    return [name for _, name in sorted(imports)]


@pytest.mark.parametrize("folder", ["assistant", "scripts", "tests"])
def test_it_is_imported_only_after_its_telemetry_was_switched_off(folder: str) -> None:
    for module in sorted((ROOT / folder).rglob("*.py")):
        imports = imports_of(module)
        direct = [at for at, name in enumerate(imports) if name.partition(".")[0] == "onnxruntime"]
        if direct and module != ROOT / "assistant/inference/runtime.py":
            assert SWITCH in imports[: direct[0]], f"{module} imports onnxruntime before {SWITCH}"


def _written(command: list[str], home: Path) -> list[str]:
    """The files that a command leaves in an empty home and an empty folder for temporary files."""
    silent = ("ORT_DISABLE_TELEMETRY", "CI")  # under either the runtime says nothing of its own accord
    environment = {name: value for name, value in os.environ.items() if name not in silent}
    environment |= {"HOME": str(home), "TMPDIR": str(home), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("XDG_CACHE_HOME", None)
    subprocess.run(command, env=environment, check=True, capture_output=True, timeout=60)
    return sorted(str(path.relative_to(home)) for path in home.rglob("*") if path.is_file())


def test_loading_and_running_a_model_leaves_no_file_in_the_home(tmp_path: Path) -> None:
    code = f"""
from pathlib import Path
from {SWITCH} import onnxruntime
onnxruntime.InferenceSession({str(ROOT / "models/vad/model.onnx")!r})
"""
    assert _written([sys.executable, "-c", code], tmp_path) == []


@pytest.mark.slow
def test_left_alone_it_would(tmp_path: Path) -> None:
    code = f"""
import time, onnxruntime
onnxruntime.InferenceSession({str(ROOT / "models/vad/model.onnx")!r})
time.sleep(1)
"""
    if not any("Microsoft" in name for name in _written([sys.executable, "-c", code], tmp_path)):
        pytest.skip("this version of the runtime collects nothing: the test above can't fail")
