"""The command line: `assistant COMMAND`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from assistant.commands import Actions, audit, catalogue, exceptions, keys, models, people, reference
from assistant.commands.log_format import write_logs
from assistant.config import Settings, load_settings, passed_over
from assistant.errors import AssistantError
from assistant.evaluate import command as evaluation
from assistant.version import __version__

log = logging.getLogger(__name__)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 called wrongly, 130 interrupted."""
    args = _parser().parse_args(arguments)
    try:
        status: int = args.run(args, _read_settings(args)) if "config" in args else args.run(args)
        return status
    except AssistantError as error:
        print(f"assistant: {error.message} [{error.code}]", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    """Every command sets `run`: it takes the arguments, and the settings where the command has `--config`."""
    parser = argparse.ArgumentParser(
        prog="assistant", description="Attune: an emotion-aware assistant backend that asks first."
    )
    parser.add_argument("--version", action="version", version=f"attune {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML; ATTUNE_* overrides them")

    serve = commands.add_parser("serve", help="run the server", description=_serve.__doc__, parents=[common])
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", help="port to listen on; 0: a free one")
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="show the product end to end", description=_demo.__doc__)
    demo.set_defaults(run=_demo)

    evaluate = commands.add_parser("evaluate", help="measure the models on your own files")
    evaluation.configure(evaluate)
    evaluate.set_defaults(run=evaluation.run)
    models.configure(commands.add_parser("models", help="list the models, or check them"))

    def actions(name: str, about: str) -> Actions:
        return Actions(commands.add_parser(name, help=about), common)

    keys.configure(actions("keys", "create, list, rotate and revoke API keys; rotate the master key"))
    catalogue.configure(actions("catalogue", "give an app something to recommend"))
    people.configure(actions("people", "export, erase or restrict people's data"))
    audit.configure(actions("audit", "check the consent ledger"))
    exceptions.configure(actions("exceptions", "sign exceptions for medical or safety reasons"))

    migrate = commands.add_parser(
        "migrate", help="bring the database to the newest schema", description=_migrate.__doc__, parents=[common]
    )
    migrate.set_defaults(run=_migrate)
    for name, about, page, run in (
        ("settings", "list every setting", "assistant/SETTINGS.md", reference.print_settings),
        ("errors", "list every error code", "assistant/server/ERRORS.md", reference.print_errors),
    ):
        listing = commands.add_parser(name, help=about, description=run.__doc__)
        listing.add_argument("--markdown", action="store_true", help=f"print the page {page}")
        listing.set_defaults(run=run)
    return parser


def _read_settings(args: argparse.Namespace) -> Settings:
    given = {f"ATTUNE_{name.upper()}": value for name in ("host", "port") if (value := getattr(args, name, None))}
    settings = load_settings(args.config, {**os.environ, **given})
    write_logs(settings.log_level)
    for sentence in passed_over(os.environ):
        log.warning("%s", sentence)
    return settings


def _serve(args: argparse.Namespace, settings: Settings) -> int:
    """Run the server until SIGINT or SIGTERM."""
    from assistant.server.app import serve

    asyncio.run(serve(settings, started=lambda address: print(f"Attune listens on {address}", flush=True)))
    return 0


def _demo(args: argparse.Namespace) -> int:
    """Start a server, stream a recording and send messages: without consent, with it, and after its withdrawal."""
    from assistant.demo.story import demo

    return asyncio.run(demo())


def _migrate(args: argparse.Namespace, settings: Settings) -> int:
    """Bring the database to the newest schema; also done whenever the server starts."""
    from assistant.store.migrate import migrate
    from assistant.store.postgres import hide_secrets

    migrate(settings.database)
    print(f"{hide_secrets(settings.database)} is at the newest schema")
    return 0
