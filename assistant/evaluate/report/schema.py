"""The JSON schema of `report.json`, made from the struct `Report`, and the command that prints it."""

from __future__ import annotations

import argparse
import inspect
import json
from typing import Any

import msgspec
from msgspec import UNSET

from assistant.evaluate.report import report

EPILOG = """\
The schema is JSON Schema, draft 2020-12. Any validator checks a report against it:

  assistant evaluate schema > report.schema.json
  python -m jsonschema -i results/report.json report.schema.json
"""


def schema() -> dict[str, Any]:
    """The schema. It requires every member that is always written, also those with a default.

    >>> schema()["$id"], "seconds" in schema()["required"], "folds" in schema()["required"]
    ('attune-evaluation/1', True, False)
    """
    named: dict[str, dict[str, Any]] = msgspec.json.schema(report.Report)["$defs"]
    for name, form in named.items():
        members = form["properties"]
        written = {f.encode_name for f in msgspec.structs.fields(getattr(report, name)) if f.default is not UNSET}
        form["required"] = [key for key in members if key in written or key == "schema"]
        form["description"] = inspect.cleandoc(form["description"])
        for member in members.values():
            member.pop("default", None)
    top: dict[str, Any] = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": report.SCHEMA}
    return top | named.pop("Report") | {"$defs": named}


def configure(sub: argparse.ArgumentParser) -> None:
    """`run` prints the schema."""
    sub.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Print the schema."""
    print(json.dumps(schema(), indent=2))
    return 0
