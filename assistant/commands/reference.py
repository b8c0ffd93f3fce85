"""`assistant settings` and `assistant errors`: tables for readers, made from the code."""

from __future__ import annotations

import argparse
from dataclasses import fields

from assistant.config import Settings, default_text, settings_table


def configure_settings(parser: argparse.ArgumentParser) -> None:
    """Describe the command."""
    parser.add_argument("--markdown", action="store_true", help="print the page assistant/SETTINGS.md")
    parser.set_defaults(run=print_settings)


def print_settings(args: argparse.Namespace) -> int:
    """Print every setting with its environment variable, its default and its meaning."""
    if args.markdown:
        print(settings_page(), end="")
        return 0
    for setting in fields(Settings):
        print(f"ATTUNE_{setting.name.upper()}={default_text(setting)}\n    {setting.metadata['doc']}")
    return 0


def settings_page() -> str:
    """The page of all settings."""
    return f"""# Settings

A TOML file (`assistant serve --config FILE`, names in lower case without the prefix), overridden by the
environment. This page is written by `assistant settings --markdown`.

{settings_table()}
"""
