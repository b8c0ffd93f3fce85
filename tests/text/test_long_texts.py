"""However long texts are, reading them takes bounded memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import asyncio, resource, sys
from assistant.config import shipped_models
from assistant.evaluate.run.engine import read_rows
from assistant.evaluate.tables.rows import Row
from assistant.inference.model import open_model

used_mb = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
model, before = open_model(shipped_models() / "text"), used_mb()
text = "I was so happy about the day, and then my friends went home without me. " * 4_000
rows = [Row(2, "", text=text[:220_000]), *(Row(3 + at, "", text=text[:3_000]) for at in range(7))]
outcomes, bad = asyncio.run(read_rows(model, "text", rows, quiet=True))
print(len(outcomes), len(bad), used_mb() - before)
"""


@pytest.mark.slow
def test_one_text_of_220_kb_among_the_rows_takes_bounded_memory() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    read, bad, grown_mb = done.stdout.split()
    assert (read, bad) == ("8", "0")
    assert float(grown_mb) < 700  # all windows in one batch took 2,300
