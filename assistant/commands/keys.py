"""`assistant keys`: create, list, rotate and revoke API keys; rotate the master key."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

from tqdm import tqdm

from assistant.commands import Actions
from assistant.config import Settings
from assistant.consent.legal_rules import CONTEXTS
from assistant.profile.access import APP_SCOPES, SCOPES, ApiKey, format_scopes, parse_scopes

if TYPE_CHECKING:  # the database is loaded when it is needed
    from assistant.store.apps import Apps

_HOUR_S = 3600.0

Value = TypeVar("Value")


def configure(actions: Actions) -> None:
    """Add the actions."""
    add = actions.add
    made = add("create", "create an API key; the last line is the key alone", create_key)
    made.add_argument("--app", required=True, metavar="NAME", help="the app that the key is for")
    made.add_argument("--context", choices=CONTEXTS, default="general", help="the app's context of use")
    made.add_argument("--name", default="", help="a name for the key")
    about = "what it may do, comma-separated: " + "; ".join(f"{scope} ({what})" for scope, what in SCOPES.items())
    made.add_argument("--scopes", default=format_scopes(APP_SCOPES), metavar="WORDS", help=about)
    made.add_argument("--days", type=float, help="days until it expires (default: never)")
    add("list", "list the keys by id; the keys themselves are never shown", print_keys)
    rotated = add("rotate", "create a key that replaces another; the old one stays valid for a while", rotate_key)
    rotated.add_argument("--key", required=True, metavar="ID", help="the key's id")
    about = "hours that the old key stays valid (default: 24)"
    rotated.add_argument("--grace-hours", metavar="HOURS", type=float, default=24.0, help=about)
    revoked = add("revoke", "revoke a key at once", revoke_key)
    revoked.add_argument("--key", required=True, metavar="ID", help="the key's id")
    master = add(
        "rotate-master", "replace the master key, and wrap every person's key with the new one", rotate_master
    )
    master.add_argument("--retire", action="store_true", help="then remove the old master keys from the file")


def create_key(args: argparse.Namespace, settings: Settings) -> int:
    """Create an API key, and also the database and the master key if they don't exist yet."""
    from assistant.store.keys import make_master_key, masters_of
    from assistant.store.migrate import migrate

    if not settings.master_key:
        make_master_key(settings.master_key_file)
    masters_of(settings)
    migrate(settings.database)
    scopes = parse_scopes(args.scopes.replace(",", " ").split())
    key = _ask(
        settings,
        lambda apps: apps.create_key(args.app, args.context, called=args.name, scopes=scopes, days=args.days),
    )
    print(f"The API key for {args.app}. It is shown only once; only its hash is stored:")
    print(key)
    return 0


def print_keys(args: argparse.Namespace, settings: Settings) -> int:
    """List the keys: id, app, name, scopes, when each was created and last used, and its state."""
    for key in _ask(settings, lambda apps: apps.list_keys()):
        print(line(key, time.time()))
    return 0


def rotate_key(args: argparse.Namespace, settings: Settings) -> int:
    """Create a key that replaces another, which stays valid for a while. The last line is the new key alone."""
    key = _ask(settings, lambda apps: apps.rotate_key(args.key, grace_s=args.grace_hours * _HOUR_S))
    print(f"{args.key} stays valid for at most {args.grace_hours:g} hours. The new key, shown only once:")
    print(key)
    return 0


def revoke_key(args: argparse.Namespace, settings: Settings) -> int:
    """Revoke a key at once, on every server that shares the database; its live streams are closed too."""
    print(f"{_ask(settings, lambda apps: apps.revoke_key(args.key)).id} is revoked")
    return 0


def line(key: ApiKey, now: float) -> str:
    """One line of text about a key.

    >>> from assistant.profile.person import App
    >>> line(ApiKey("key_1", "web", App("a", "shop", "general"), parse_scopes(["infer"]), 0.0, used_at=60.0), 60.0)
    "key_1  shop  'web'  [infer]  created 1970-01-01T00:00Z  used 1970-01-01T00:01Z  valid"
    """
    used = "never" if key.used_at is None else _date(key.used_at)
    valid = "valid" if key.expires_at is None else f"valid until {_date(key.expires_at)}"
    state = {None: valid, "key_revoked": "revoked", "key_expired": "expired"}[key.end_code(now)]
    return (
        f"{key.id}  {key.app.name}  {key.name!r}  [{format_scopes(key.scopes)}]  created {_date(key.created_at)}  "
        f"used {used}  {state}"
    )


def _ask(settings: Settings, question: Callable[[Apps], Awaitable[Value]]) -> Value:
    from assistant.store.apps import Apps
    from assistant.store.database import Database

    async def answer() -> Value:
        database = Database(settings.database)
        try:
            return await question(Apps(database, time.time))
        finally:
            await database.close()

    return asyncio.run(answer())


def _date(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%MZ")


def rotate_master(args: argparse.Namespace, settings: Settings) -> int:
    """Add a new master key and wrap every person's key with it; servers may keep running.

    An interrupted run continues where it stopped. The old master keys stay in the file until `--retire`. If the
    master keys are in ATTUNE_MASTER_KEY, put the new one first there, restart the servers, then run this.
    """
    from assistant.store.database import Database
    from assistant.store.keys import add_master_key, masters_of, open_vault, retire_master_keys

    async def done() -> int:
        database = Database(settings.keys, shreds=True)
        try:
            vault = await open_vault(database, masters_of(settings))
            if not settings.master_key and not await vault.count_outdated():
                add_master_key(settings.master_key_file)
            with tqdm(total=await vault.count_outdated(), unit="key", desc="wrapping") as bar:
                return await vault.rewrap(bar.update)
        finally:
            await database.close()

    print(f"{asyncio.run(done())} keys are wrapped by the newest master key")
    if args.retire and not settings.master_key:
        gone = retire_master_keys(settings.master_key_file)
        print(f"{gone} old master keys were removed from {settings.master_key_file}")
    return 0
