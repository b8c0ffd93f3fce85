"""Every script says with `--help` what it does and takes."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

SCRIPTS = sorted(
    ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for file in (ROOT / "scripts").rglob("*.py")
    if "__main__" in file.read_text(encoding="utf-8")
)
TRAINING = {"librosa", "onnxscript", "pandas", "safetensors", "torch", "transformers"}
ASK = """
import contextlib, io, json, runpy, sys
answers = {}
for name in sys.argv[1:]:
    sys.argv, out = [name, "--help"], io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_module(name, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        answers[name] = [end.code, out.getvalue()]
    except ModuleNotFoundError as missing:
        answers[name] = [missing.name, ""]
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_every_script_that_needs_no_training_library_explains_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-c", ASK, *SCRIPTS], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    assert sorted(answers) == SCRIPTS
    assert len(SCRIPTS) > 25
    untrained = {name: end for name, (end, _) in answers.items() if end not in TRAINING}
    assert len(untrained) > 20
    assert not {name: end for name, end in untrained.items() if end != 0}
    for name in untrained:
        usage = answers[name][1]
        assert usage.startswith("usage: "), name
        assert len(usage.splitlines()) > 5, f"{name} does not say what it is for"


def test_every_script_parses_its_arguments() -> None:
    for name in SCRIPTS:
        source = (ROOT / f"{name.replace('.', '/')}.py").read_text(encoding="utf-8")
        assert "ArgumentParser(" in source or "arguments(__doc__)" in source, name
