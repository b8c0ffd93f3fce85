"""Libraries that only some evaluations need: they come with an extra, and are imported when they are used."""

from __future__ import annotations

import importlib
from typing import Any

from assistant.errors import Unavailable


def optional(module: str, what: str, extra: str = "research") -> Any:
    """Import `module`, or say which extra brings it. Raises `Unavailable` (`extra_missing`).

    >>> optional("json", "JSON").loads("[1]")
    [1]
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Unavailable(
            f"{what} needs {module.partition('.')[0]}, which isn't installed: "
            f"pip install 'attune[{extra}]' (in a checkout: pip install '.[{extra}]')",
            code="extra_missing",
        ) from error
