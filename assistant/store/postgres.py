"""A connection to PostgreSQL: libpq's URLs with their parameters, straight or through a pooler."""

from __future__ import annotations

import difflib
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from assistant.errors import ConfigInvalid

log = logging.getLogger(__name__)

_CONNECT_S = 10.0
_DRIVER = (
    "host", "port", "dbname", "user", "password", "passfile", "service", "target_session_attrs", "krbsrvname",
    "gsslib", "sslmode", "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "sslnegotiation",
    "ssl_min_protocol_version", "ssl_max_protocol_version", "application_name", "options",
)  # fmt: skip
"""Parameters that the driver takes as they are; the last two go to the server."""
_NO_EFFECT = (
    "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "sslsni",
)  # fmt: skip
"""What is taken and changes nothing here; a warning says so."""
_ONLY: Mapping[str, tuple[str, ...]] = {
    "channel_binding": ("prefer", "disable"),
    "gssencmode": ("prefer", "disable"),
    "load_balance_hosts": ("disable",),
    "client_encoding": ("utf8", "utf-8", "auto"),
    "sslcompression": ("0",),
    "replication": ("false", "off", "no", "0"),
}
"""What the driver does anyway: a value that asks for more is refused."""
_OURS = ("connect_timeout", "fallback_application_name")
_FILES = ("passfile", "sslcert", "sslkey", "sslcrl", "sslrootcert")
_SECRET = ("password", "sslpassword")
_INVALID = "the database's URL is not valid"

UNNAMED = ""
"""The name of a prepared statement that the next one replaces. One of another name stays with its server."""


class CannotConnect(OSError):
    """The server or the driver refused; the cause says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect: what the driver is given."""

    url: str
    timeout: float | None
    """Seconds to connect; None: as long as it takes."""
    trusts_system: bool
    """`sslrootcert=system`: check the server's certificate with the authorities that this machine trusts."""
    without_effect: tuple[str, ...]
    """Parameters that change nothing here."""


def address_of(url: str) -> Address:
    """Read a URL as libpq does. Raises `ConfigInvalid`, naming the parameter.

    Source: PostgreSQL 18, 32.1.1 "Connection Strings" and 32.1.2 "Parameter Key Words".

    >>> address_of("postgres://u:p@h/db?sslmode=require&connect_timeout=5")
    Address(url='postgres://u:p@h/db?sslmode=require', timeout=5.0, trusts_system=False, without_effect=())
    >>> address_of("postgresql://h/db?ssl_mode=require")
    Traceback (most recent call last):
    assistant.errors.ConfigInvalid: the database's URL has an unknown parameter ssl_mode; did you mean sslmode?
    """
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=True)) if parts.query else {}
    except ValueError:
        raise ConfigInvalid(f"{_INVALID}: one is like postgresql://USER:PASSWORD@HOST/NAME") from None
    for name, value in given.items():
        _check(name, value)
    kept = {name: value for name, value in given.items() if name in _DRIVER}
    if "fallback_application_name" in given:
        kept.setdefault("application_name", given["fallback_application_name"])
    trusts_system = kept.get("sslrootcert") == "system"
    if trusts_system:
        if kept.pop("sslmode", "verify-full") != "verify-full":
            raise ConfigInvalid("the database's URL: sslrootcert=system needs sslmode=verify-full")
        del kept["sslrootcert"]
    return Address(
        url=urlunsplit(parts._replace(query=urlencode(kept))),
        timeout=_seconds(given.get("connect_timeout", str(_CONNECT_S))),
        trusts_system=trusts_system,
        without_effect=tuple(name for name in given if name in _NO_EFFECT),
    )


def _check(name: str, value: str) -> None:
    known = (*_DRIVER, *_NO_EFFECT, *_ONLY, *_OURS)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
        shown = name if name.isidentifier() and len(name) <= 40 else "that is no name"
        hint = f"; did you mean {near[0]}?" if near else f"; a setting of the server: options=-c%20{shown}%3D..."
        raise ConfigInvalid(f"the database's URL has an unknown parameter {shown}{hint}")
    if name in _ONLY and value.lower() not in _ONLY[name]:
        raise ConfigInvalid(
            f"the database's URL: {name} can only be {' or '.join(_ONLY[name])}; the driver can do no more"
        )
    if name in _FILES and value != "system" and not Path(value).is_file():
        raise ConfigInvalid(f"the database's URL: there is no file {value} for {name}")


def _seconds(text: str) -> float | None:
    """libpq's `connect_timeout`: 0 or less waits without end."""
    try:
        seconds = float(text)
    except ValueError:
        raise ConfigInvalid("the database's URL: connect_timeout must be a number of seconds") from None
    return seconds if seconds > 0 else None


def hide_secrets(url: str) -> str:
    """The URL without its passwords.

    >>> hide_secrets("postgresql://attune:secret@a,b/attune?sslpassword=secret&sslmode=require")
    'postgresql://attune:***@a,b/attune?sslpassword=***&sslmode=require'
    """
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    name, colon, _ = user.partition(":")
    query = "&".join(
        f"{name}=***" if name in _SECRET else pair
        for pair in parts.query.split("&")
        for name in (pair.partition("=")[0],)
    )
    netloc = f"{name}{colon and ':***'}{at}{host}"
    return urlunsplit(parts._replace(netloc=netloc, query=query))


async def connect_postgres(url: str) -> Any:
    """An asyncpg connection.

    Raises `ConfigInvalid` for a URL that can't be used, and `OSError` where the server can't be reached.
    """
    try:
        import asyncpg  # an extra: only those who use PostgreSQL have it
    except ModuleNotFoundError as error:
        raise ConfigInvalid("PostgreSQL needs `pip install attune[postgres]`", code="driver_missing") from error
    address = address_of(url)
    secured = {"ssl": ssl.create_default_context()} if address.trusts_system else {}
    try:
        return await asyncpg.connect(address.url, timeout=address.timeout, **secured)
    except asyncpg.exceptions.ClientConfigurationError as error:
        raise ConfigInvalid(f"the database's URL: {error}") from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise CannotConnect from error
    except OSError:  # also a certificate that is not trusted, which is a ValueError as well
        raise
    except ValueError as error:  # its message may hold a part of a password
        raise ConfigInvalid(f"{_INVALID}: {type(error).__name__}") from error


async def is_pooled(connection: Any) -> bool:
    """Whether a pooler such as PgBouncer stands between, which may give every transaction another server.

    The number of the server's process that the connection was told at its start is then not that of the process
    that answers.
    """
    async with connection.transaction():
        asked = await connection.prepare("SELECT pg_backend_pid()", name=UNNAMED)
        return bool(await asked.fetchval() != connection.get_server_pid())
