"""Where the project and the labelled data are."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
"""The project's own folder."""
DATA = Path(os.environ.get("ATTUNE_DATA", ROOT.parent / "shared" / "data"))
"""The labelled data; `ATTUNE_DATA` names another folder."""
