"""What the commands do, one module for each noun."""

from __future__ import annotations

import argparse
from collections.abc import Callable


class Actions:
    """The actions of one command, such as `create` of `assistant keys`."""

    def __init__(self, parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(required=True, metavar="ACTION")
        self._common = common

    def add(
        self, name: str, about: str, run: Callable[..., int], *, plain: bool = False
    ) -> argparse.ArgumentParser:
        """Add one that calls `run` with the arguments and the settings; a `plain` one needs no settings."""
        parents = [] if plain else [self._common]
        parser = self._parsers.add_parser(name, help=about, description=run.__doc__, parents=parents)
        parser.set_defaults(run=run)
        return parser
