"""Pages from templates: one self-contained HTML file each, in which every text is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from assistant.evaluate.report.formatting import escape_hidden
from assistant.evaluate.report.view import Section


def render_page(template: str, sections: Sequence[Section], **context: Any) -> str:
    """A page from one of `templates/`: no scripts, no fonts, nothing fetched. Empty sections are left out."""
    environment = Environment(
        loader=PackageLoader("assistant.evaluate.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    shown = [section for section in sections if not section.empty]
    return environment.get_template(template).render(sections=shown, **context)


def _finalize(value: Any) -> Any:
    return escape_hidden(value) if isinstance(value, str) and not isinstance(value, Markup) else value
