"""`assistant exceptions`: sign and list exceptions for medical or safety reasons. The key stays off the server."""

from __future__ import annotations

import argparse
import os
import secrets
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from assistant.commands import Actions
from assistant.config import Settings
from assistant.consent.exceptions import Terms, exceptions_of, sign_terms
from assistant.consent.legal_rules import CONTEXTS, EXEMPTION_REASONS
from assistant.errors import ConfigInvalid, Invalid

_DAY_S = 86_400.0
_MOST_DAYS = 366.0


def configure(actions: Actions) -> None:
    """Add the actions."""
    made = actions.add(
        "key", "create the signing key; the last line is the public key", create_signing_key, plain=True
    )
    made.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write the private key")
    signed = actions.add(
        "sign", "sign an exception: a line for the file ATTUNE_EXCEPTIONS", print_signed, plain=True
    )
    signed.add_argument("--key", type=Path, required=True, metavar="FILE", help="the private key")
    signed.add_argument("--app", required=True, metavar="NAME", help="the app it is for")
    signed.add_argument("--context", choices=CONTEXTS, required=True, help="the context of use it is for")
    about = "the reason that the law accepts"
    signed.add_argument("--reason", choices=EXEMPTION_REASONS, required=True, help=about)
    signed.add_argument("--why", required=True, help="the reason in your own words, for auditors")
    about = f"days until it expires, at most {_MOST_DAYS:.0f}"
    signed.add_argument("--days", type=float, required=True, help=about)
    actions.add("list", "check and show the exceptions in the configured file", print_exceptions)


def create_signing_key(args: argparse.Namespace) -> int:
    """Write a new private key that only its owner can read, and print the public one."""
    key = Ed25519PrivateKey.generate()
    written = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    try:
        with os.fdopen(os.open(args.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
            opened.write(written)
    except OSError as error:
        raise ConfigInvalid(f"can't write a key to {args.out}: {error.strerror}") from error
    print(f"The private key is in {args.out}; keep it away from the server. Set ATTUNE_EXCEPTIONS_KEY to:")
    print(key.public_key().public_bytes_raw().hex())
    return 0


def print_signed(args: argparse.Namespace) -> int:
    """Print a signed exception: one line for the file of exceptions."""
    if not 0 < args.days <= _MOST_DAYS:
        raise Invalid(f"an exception is valid for at most {_MOST_DAYS:.0f} days", code="exception_invalid")
    now = time.time()
    terms = Terms(
        id=f"exc_{secrets.token_hex(6)}",
        app=args.app,
        context=args.context,
        reason=args.reason,
        why=args.why,
        issued_at=round(now),
        expires_at=round(now + args.days * _DAY_S),
    )
    print(sign_terms(terms, _read_key(args.key)))
    return 0


def print_exceptions(args: argparse.Namespace, settings: Settings) -> int:
    """Show the configured exceptions; fails if one has no valid signature."""
    terms = exceptions_of(settings).terms
    if not terms:
        print("there are no exceptions", file=sys.stderr)
    for term in terms:
        until = datetime.fromtimestamp(term.expires_at, UTC).strftime("%Y-%m-%d")
        state = "until" if time.time() < term.expires_at else "EXPIRED"
        print(f"{term.id}  {term.app}  {term.context}  {term.reason}  {state} {until}  {term.why}")
    return 0


def _read_key(file: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(file.read_bytes(), None)
    except (OSError, ValueError, TypeError) as error:
        raise ConfigInvalid(f"{file} is not a private key in PEM format", code="exception_key_invalid") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigInvalid(f"{file} is not an Ed25519 key", code="exception_key_invalid")
    return key
