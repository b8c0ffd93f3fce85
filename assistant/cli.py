"""The command `assistant`."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from assistant import __version__
from assistant.commands.audit import configure as configure_audit
from assistant.commands.exceptions import configure as configure_exceptions
from assistant.commands.keys import configure as configure_keys
from assistant.commands.logs import write_logs
from assistant.commands.master import configure as configure_master
from assistant.commands.people import configure as configure_people
from assistant.config import Settings, load_settings, shipped_models
from assistant.errors import AssistantError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 1 failed, 2 called wrongly, 130 interrupted."""
    args = _parser().parse_args(arguments)
    try:
        status: int = args.run(args)
        return status
    except AssistantError as error:
        print(f"assistant: {error.message} [{error.code}]", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assistant", description="Attune: an emotion-aware assistant backend that asks first."
    )
    parser.add_argument("--version", action="version", version=f"attune {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="run the server", description=_serve.__doc__)
    _with_settings(serve)
    serve.add_argument("--host", help="address to listen on")
    serve.add_argument("--port", help="port to listen on; 0 takes a free one")
    serve.set_defaults(run=_serve)

    demo = commands.add_parser("demo", help="watch the main job, end to end", description=_demo.__doc__)
    demo.set_defaults(run=_demo)

    evaluate = commands.add_parser("evaluate", help="how good the models are on your own files")
    _configure_evaluate(evaluate)

    models = commands.add_parser("models", help="list the models, or check them")
    models.add_argument("what", nargs="?", choices=("list", "check"), default="list")
    models.add_argument("--models", type=Path, help="folder of model folders (default: the shipped ones)")
    models.set_defaults(run=_models)

    keys = commands.add_parser("keys", help="API keys")
    kinds = keys.add_subparsers(required=True, metavar="ACTION")
    common = argparse.ArgumentParser(add_help=False)
    _with_settings(common)
    configure_keys(kinds, common)
    configure_master(kinds, common)
    keys.set_defaults(run=_keys)

    exceptions = commands.add_parser("exceptions", help="signed exceptions for medical or safety reasons")
    configure_exceptions(exceptions.add_subparsers(required=True, metavar="ACTION"), common)
    exceptions.set_defaults(run=_exceptions)

    people = commands.add_parser("people", help="export, erase or restrict what is kept of people")
    configure_people(people.add_subparsers(required=True, metavar="ACTION"), common)
    people.set_defaults(run=_people)

    audit = commands.add_parser("audit", help="the ledger of consent")
    configure_audit(audit.add_subparsers(required=True, metavar="ACTION"), common)
    audit.set_defaults(run=_audit)

    migrate = commands.add_parser("migrate", help="bring the database to the newest schema")
    _with_settings(migrate)
    migrate.set_defaults(run=_migrate)
    return parser


def _with_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, metavar="FILE", help="settings in TOML; ATTUNE_* overrides them")


def _settings(args: argparse.Namespace) -> Settings:
    given = {f"ATTUNE_{name.upper()}": value for name in ("host", "port") if (value := getattr(args, name, None))}
    settings = load_settings(args.config, {**os.environ, **given})
    write_logs(settings.log_level)
    return settings


def _serve(args: argparse.Namespace) -> int:
    """Run the server until SIGINT or SIGTERM."""
    from assistant.server.app import serve

    asyncio.run(serve(_settings(args), started=lambda address: print(f"Attune listens on {address}", flush=True)))
    return 0


def _demo(args: argparse.Namespace) -> int:
    """Start a server, stream a recording, send messages; consent off, then on, then withdrawn. Leaves nothing."""
    from assistant.demo.story import demo

    return asyncio.run(demo())


def _configure_evaluate(parser: argparse.ArgumentParser) -> None:
    from assistant.evaluate.command import configure, run

    configure(parser)
    parser.set_defaults(run=run)


def _models(args: argparse.Namespace) -> int:
    from assistant.audio.voice import check_head
    from assistant.inference.card import check_stem, read_card, stem_of
    from assistant.inference.model import golden_error, open_model

    root = args.models or shipped_models()
    folders = sorted(card.parent for card in root.glob("*/card.toml"))
    if not folders:
        print(f"there are no models in {root}", file=sys.stderr)
        return 1
    failed = 0
    for folder in folders:
        try:
            card = read_card(folder)
            if args.what == "list":
                size = card.graph.stat().st_size / 1e6
                print(f"{card.name:<20} {card.kind:<8} {size:6.1f} MB  {card.licence}")
                continue
            if "stem" in card.data:
                check_stem(card, read_card(root / stem_of(card)[0]))
            if card.kind == "voice":
                check_head(card)
            error, limit = golden_error(open_model(folder)), float(card.data.get("golden_tolerance", 0.02))
            good = error <= limit
            verdict = "ok" if good else "WRONG"
            print(f"{card.name:<20} {verdict:<6} hash, labels, shapes; golden outputs within {error:.2g}")
            failed += not good
        except AssistantError as problem:
            print(f"{folder.name:<20} BROKEN  {problem.message} [{problem.code}]")
            failed += 1
    return 1 if failed else 0


def _keys(args: argparse.Namespace) -> int:
    status: int = args.keys(args, _settings(args))
    return status


def _people(args: argparse.Namespace) -> int:
    status: int = args.people(args, _settings(args))
    return status


def _audit(args: argparse.Namespace) -> int:
    status: int = args.audit(args, _settings(args))
    return status


def _exceptions(args: argparse.Namespace) -> int:
    status: int = args.exceptions(args, _settings(args)) if hasattr(args, "config") else args.exceptions(args)
    return status


def _migrate(args: argparse.Namespace) -> int:
    """Bring the database to the newest schema; also done whenever the server starts."""
    from assistant.store.database import migrate, shown

    settings = _settings(args)
    migrate(settings.database)
    print(f"{shown(settings.database)} is at the newest schema")
    return 0
