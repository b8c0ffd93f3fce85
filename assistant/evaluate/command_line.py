"""The command line of `assistant evaluate`: how arguments are read, and how a command ends."""

from __future__ import annotations

import argparse
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar, get_args

from assistant.audio.channels import parse_channel
from assistant.errors import AssistantError
from assistant.evaluate.tables.form import Separator
from assistant.evaluate.tables.numbers import Decimal

Options = TypeVar("Options")


def make_options(form: type[Options], args: argparse.Namespace) -> Options:
    """The options of a command, a dataclass, from what argparse read; other arguments are ignored."""
    names = form.__dataclass_fields__  # type: ignore[attr-defined]
    return form(**{name: value for name, value in vars(args).items() if name in names})


def run_to_end(command: Callable[[], int], *, stopped: Callable[[], str] = lambda: "nothing was written") -> int:
    """Run a command; its exit status, or 2 for an `AssistantError` and 130 when interrupted, which it prints.

    `stopped` gives the words for an interruption.
    """
    try:
        return command()
    except AssistantError as error:
        print(f"assistant evaluate: {error.message} [{error.code}]", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"assistant evaluate: stopped; {stopped()}", file=sys.stderr)
        return 130


def add_out(sub: argparse.ArgumentParser) -> None:
    """Add the option --out."""
    sub.add_argument("--out", type=Path, default=Path("evaluation"), metavar="DIR", help="default: ./evaluation")


def add_bootstrap(sub: argparse.ArgumentParser, *, seeds: str = "the bootstrap") -> None:
    """Add the options --bootstrap and --seed; `seeds` says what the seed is for."""
    replicates = "replicates (default 1000; 0: none)"
    sub.add_argument("--bootstrap", type=parse_count, default=1000, metavar="N", help=replicates)
    sub.add_argument("--seed", type=parse_count, default=0, metavar="N", help=f"of {seeds} (default 0)")


def add_form(sub: argparse.ArgumentParser, *, voice: bool) -> None:
    """Add the options that say how a table is written; `read_form` reads them."""
    add = sub.add_argument
    add(
        "--separator",
        choices=get_args(Separator),
        help="between the cells of a CSV file (default: found out)",
    )
    add(
        "--header",
        type=parse_column_names,
        default=(),
        metavar="NAME,...",
        help="names of the columns of a CSV or TSV file whose first line is data already",
    )
    words = "what stands before decimals: 0,5 or 0.5 (default: found out; 1,234 may be either and is refused)"
    add("--decimal", choices=get_args(Decimal), help=words)
    if voice:
        add(
            "--channel",
            type=_parse_channel,
            metavar="CHANNEL",
            help="heard in every file: left, right, mix (default), or its number from 1; a column `channel` says "
            "it row by row",
        )
        add(
            "--whole-files",
            action="store_true",
            help="measure whole files, though the table has columns such as start and end",
        )


def _parse_channel(written: str) -> int | None:
    try:
        return parse_channel(written)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def parse_columns(written: str) -> list[tuple[str, str]]:
    r"""OURS=THEIRS, more of them after commas.

    >>> parse_columns(r"speaker=file:(\d{2,3}),emotion=label")
    [('speaker', 'file:(\\d{2,3})'), ('emotion', 'label')]
    """
    pairs = [one.partition("=") for one in re.split(r",(?=\w+=)", written)]
    if not all(ours.strip() and theirs.strip() for ours, _, theirs in pairs):
        raise argparse.ArgumentTypeError(f"{written!r} does not look like OURS=THEIRS")
    return [(ours.strip(), theirs.strip()) for ours, _, theirs in pairs]


def parse_names(written: str) -> tuple[str, ...]:
    """Names separated by commas; empty ones are kept.

    >>> parse_names("accent, site")
    ('accent', 'site')
    """
    return tuple(name.strip() for name in written.split(","))


def parse_column_names(written: str) -> tuple[str, ...]:
    """Names separated by commas, none empty."""
    names = parse_names(written)
    if not all(names):
        raise argparse.ArgumentTypeError(f"{written!r} does not look like COLUMN,COLUMN")
    return names


def parse_scale(written: str) -> tuple[float, float]:
    """LOW,HIGH as two numbers."""
    try:
        low, high = (float(part) for part in written.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{written!r} does not look like LOW,HIGH") from None
    if not -1e9 < low < high < 1e9:
        raise argparse.ArgumentTypeError(f"{written!r}: LOW must be less than HIGH")
    return low, high


def parse_count(written: str) -> int:
    """A whole number from 0."""
    if not written.isdecimal():
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number from 0")
    return int(written)


def parse_positive(written: str) -> int:
    """A whole number from 1."""
    if (value := parse_count(written)) < 1:
        raise argparse.ArgumentTypeError(f"{written!r} is not a whole number from 1")
    return value


def parse_weight(written: str) -> float:
    """A number greater than 0."""
    if not (value := _read_number(written)) > 0:
        raise argparse.ArgumentTypeError(f"{written!r} is not a number greater than 0")
    return value


def parse_seconds(written: str) -> float:
    """A number of seconds from 0 to below a million."""
    if not 0 <= (value := _read_number(written)) < 1e6:
        raise argparse.ArgumentTypeError(f"{written!r} is not a number of seconds")
    return value


def _read_number(written: str) -> float:
    try:
        return float(written)
    except ValueError:
        return math.nan
