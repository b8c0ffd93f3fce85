"""The README tells the truth: its examples work as pasted and its figures are those of the model cards."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


def test_the_figures_are_those_of_the_cards() -> None:
    script: list[str | Path] = [sys.executable, ROOT / "scripts" / "cards" / "readme_figures.py", "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_the_examples_work_as_pasted(tmp_path: Path) -> None:
    examples = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert len(examples) == 3
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
    moods = re.findall(r'"mood":(null|\{)', said)
    assert moods == ["null", "{"], said
    assert "policy.notice" in said
    assert re.search(r"affect\.result 0\.\d+", said)
