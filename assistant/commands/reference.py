"""`assistant settings` and `assistant errors`: lists of all settings and all error codes, made from the code."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from dataclasses import fields
from itertools import groupby

from assistant.config import Settings, default_text, settings_table
from assistant.error_codes import COMMAND_CODES, SERVER_CODES, ErrorCode
from assistant.errors import AssistantError


def print_settings(args: argparse.Namespace) -> int:
    """Print every setting with its environment variable, its default and its meaning."""
    if args.markdown:
        print(settings_page(), end="")
        return 0
    for setting in fields(Settings):
        print(f"ATTUNE_{setting.name.upper()}={default_text(setting)}\n    {setting.metadata['doc']}")
    return 0


def print_errors(args: argparse.Namespace) -> int:
    """Print every error code with its meaning and what to do about it."""
    if args.markdown:
        print(errors_page(), end="")
        return 0
    for each in (*SERVER_CODES, *COMMAND_CODES):
        print(f"{each.code:<26} {each.meaning}: {each.remedy}")
    return 0


def settings_page() -> str:
    """All settings as the Markdown page `assistant/SETTINGS.md`."""
    return f"""# Settings

A TOML file (`assistant serve --config FILE`, names in lower case without the prefix), overridden by the
environment. This page is written by `assistant settings --markdown`.

{settings_table()}
"""


def errors_page() -> str:
    """All error codes as the Markdown page `assistant/server/ERRORS.md`."""
    return f"""# Error codes

Every error has a stable `code`; its message is for people and may change. Over HTTP it is a problem (RFC 9457),
on the OpenAI routes an error in OpenAI's shape, on WebSockets an event `error`. This page is written by
`assistant errors --markdown`.

## Errors of the API

{_by_family(SERVER_CODES)}

## Errors of commands

| code | meaning | what to do |
|---|---|---|
{_rows(COMMAND_CODES)}
"""


def _by_family(codes: Iterable[ErrorCode]) -> str:
    from assistant.server.http.guard import status_of_family

    parts = []
    for family, same in groupby(codes, key=lambda each: each.family):
        about = (family.__doc__ or "").partition("\n")[0]
        title = "Other errors" if family is AssistantError else f"Status {status_of_family(family)}: {about}"
        parts.append(f"### {title}\n\n| code | meaning | what to do |\n|---|---|---|\n{_rows(same)}")
    return "\n\n".join(parts)


def _rows(codes: Iterable[ErrorCode]) -> str:
    return "\n".join(f"| `{each.code}` | {each.meaning} | {each.remedy} |" for each in codes)
