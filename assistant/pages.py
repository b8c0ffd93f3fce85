"""Pages of HTML, made from Jinja templates that lie beside the modules which fill them."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def open_templates(module: str) -> Environment:
    """The folder `templates` beside a module, `__file__`: every value is escaped; a name not given is an error."""
    return Environment(
        loader=FileSystemLoader(Path(module).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
