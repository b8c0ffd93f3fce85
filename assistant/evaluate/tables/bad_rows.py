"""Rows that couldn't be scored, all of them in a file beside the report."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from assistant.errors import Unavailable
from assistant.evaluate.tables.manifest import BadRow

FILE = "bad_rows.csv"


def write(out: Path, manifest: Path, bad: Sequence[BadRow]) -> None:
    """Write `bad_rows.csv`: manifest, line, file (or id) and reason, in the order of the manifest.

    Without bad rows there is no such file, also none of an earlier run. Raises `Unavailable` (`out_unwritable`).
    """
    file = out / FILE
    beside = out / f".{FILE}.part"
    try:
        if not bad:
            file.unlink(missing_ok=True)
            return
        with beside.open("w", encoding="utf-8", errors="backslashreplace", newline="") as opened:
            table = csv.writer(opened, lineterminator="\n")
            table.writerow(("manifest", "line", "file", "reason"))
            for row in sorted(bad, key=lambda row: row.line):
                table.writerow((manifest.name or str(manifest), row.line, row.name, row.reason))
        beside.replace(file)
    except OSError as error:
        raise Unavailable(f"can't write into --out {out}: {error.strerror}", code="out_unwritable") from error
    finally:
        beside.unlink(missing_ok=True)
