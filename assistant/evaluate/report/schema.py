"""The published schema of `report.json`, and the command that prints it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

EPILOG = """\
The schema is JSON Schema, draft 2020-12. Any validator checks a report against it:

  assistant evaluate schema > report.schema.json
  python -m jsonschema -i results/report.json report.schema.json
"""


def written() -> str:
    """The schema as it is shipped."""
    return Path(__file__).with_name("report.schema.json").read_text(encoding="utf-8")


def schema() -> dict[str, Any]:
    """The schema.

    >>> schema()["$id"]
    'attune-evaluation/1'
    """
    found: dict[str, Any] = json.loads(written())
    return found


def configure(sub: argparse.ArgumentParser) -> None:
    """`run` prints the schema."""
    sub.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the schema."""
    print(written(), end="")
    return 0
