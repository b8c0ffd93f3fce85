"""URLs of PostgreSQL as libpq, its documentation and those who offer databases write them."""

from __future__ import annotations

import logging
import re
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text

from assistant.config import Settings
from assistant.errors import ConfigInvalid
from assistant.store.database import Database, StorageFailed
from assistant.store.migrate import migrate
from assistant.store.postgres import address_of, connect_postgres, hide_secrets
from scripts.bench.postgres import binaries, running_postgres

DAY = timedelta(days=1)
HARMLESS = [
    "sslmode=require",
    "sslmode=prefer&application_name=attune",
    "fallback_application_name=attune",
    "connect_timeout=10",
    "connect_timeout=0",
    "options=-c%20statement_timeout%3D5000",
    "target_session_attrs=read-write",
    "channel_binding=prefer&gssencmode=disable&client_encoding=UTF8",
    "keepalives=1&keepalives_idle=30&keepalives_interval=10&keepalives_count=3&tcp_user_timeout=1000&sslsni=1",
]


@pytest.mark.parametrize("query", HARMLESS)
def test_what_libpq_takes_is_taken(query: str) -> None:
    for scheme in ("postgresql", "postgres"):
        url = f"{scheme}://u:p@h,i:5433/db?{query}"
        assert address_of(url).url.startswith(f"{scheme}://u:p@h,i:5433/db")
        Database(Settings(database=url).database)


REFUSED = [
    ("ssl_mode=require", "unknown parameter ssl_mode; did you mean sslmode"),
    ("statement_timeout=5", "unknown parameter statement_timeout; a setting of the server: options=-c%20statement"),
    ("pgbouncer=true", "unknown parameter pgbouncer"),
    ("a%20b=c", "unknown parameter that is no name"),
    ("channel_binding=require", "channel_binding can only be prefer or disable"),
    ("gssencmode=require", "gssencmode can only be"),
    ("client_encoding=latin1", "client_encoding can only be"),
    ("load_balance_hosts=random", "load_balance_hosts can only be disable"),
    ("connect_timeout=soon", "connect_timeout must be a number"),
    ("sslrootcert=/none/root.crt", "there is no file /none/root.crt for sslrootcert"),
    ("sslrootcert=system&sslmode=require", "sslrootcert=system needs sslmode=verify-full"),
    ("sslmode", "not valid"),
]


@pytest.mark.parametrize(("query", "says"), REFUSED, ids=[query for query, _ in REFUSED])
def test_what_is_not_known_or_can_not_be_kept_is_refused_by_name(query: str, says: str) -> None:
    with pytest.raises(ConfigInvalid) as refused:
        Database(f"postgresql://u:canary@h/db?{query}")
    assert says in refused.value.message
    assert "canary" not in refused.value.message


@pytest.mark.parametrize("url", ["postgresql://u:canary@h:port/db", "postgresql://u@h/db?sslmode=canary"])
def test_a_value_that_is_wrong_is_refused_before_anything_is_sent(url: str) -> None:
    with pytest.raises(ConfigInvalid):
        migrate(url)


def test_what_changes_nothing_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        Database("postgresql://h/db?keepalives=1&sslmode=require")
    assert [record.getMessage() for record in caplog.records] == [
        "the database's URL: keepalives has no effect here"
    ]


def test_a_file_of_sqlite_has_no_parameters() -> None:
    with pytest.raises(ConfigInvalid, match="no parameters"):
        Database("sqlite:///attune.db?mode=ro")


def test_no_password_is_shown_wherever_it_stands() -> None:
    for url in (
        "postgresql://u:canary@h/db",
        "postgresql://u:can@ary@h,i:1/db",
        "postgresql://h/db?user=u&password=canary&sslpassword=canary",
    ):
        shown = hide_secrets(url)
        assert not re.search("canary|can@", shown)
        assert "***" in shown


@pytest.mark.slow
@pytest.mark.parametrize(
    "query", ["sslmode=prefer&application_name=shop&connect_timeout=3", "application_name=shop"]
)
async def test_parameters_reach_the_server(postgres: Any, query: str) -> None:
    url = f"{postgres.url()}&{query}&options=-c%20statement_timeout%3D1234"
    connection = await connect_postgres(url)
    try:
        assert await connection.fetchval("SHOW application_name") == "shop"
        assert await connection.fetchval("SHOW statement_timeout") == "1234ms"
    finally:
        await connection.close()


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A server that speaks TLS: its port, and the file of its certificate."""
    if binaries() is None:
        pytest.skip("there is no PostgreSQL here")
    with running_postgres() as server:
        server.stop()
        key, certificate = server.folder / "server.key", server.folder / "server.crt"
        make_certificate(key, certificate)
        server.own(key)
        shutil.copy(certificate, tmp_path / "root.crt")
        port = free_port()
        server.start(
            "listen_addresses=127.0.0.1", f"port={port}", "ssl=on",
            f"ssl_key_file={key}", f"ssl_cert_file={certificate}",
        )  # fmt: skip
        yield port, tmp_path / "root.crt"


@pytest.mark.slow
async def test_tls_is_used_and_checked_as_the_url_says(secured: tuple[int, Path], tmp_path: Path) -> None:
    port, root = secured
    url = f"postgresql://attune@127.0.0.1:{port}/postgres"
    for query, encrypted in (
        ("sslmode=disable", False),
        ("sslmode=require", True),
        (f"sslmode=verify-full&sslrootcert={root}&ssl_min_protocol_version=TLSv1.3", True),
    ):
        database = Database(f"{url}?{query}")
        row = await database.row(text("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"))
        assert row.ssl is encrypted
        await database.close()
    make_certificate(tmp_path / "other.key", tmp_path / "other.crt")
    for query in (f"sslmode=verify-full&sslrootcert={tmp_path / 'other.crt'}", "sslrootcert=system"):
        with pytest.raises(StorageFailed):
            await Database(f"{url}?{query}").scalar(text("SELECT 1"))


def make_certificate(key: Path, certificate: Path) -> None:
    """One for 127.0.0.1 that signs itself."""
    secret = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, secret.public_key(), x509.random_serial_number(), now - DAY, now + DAY)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(secret, hashes.SHA256())
    )
    unlocked = serialization.NoEncryption()
    key.write_bytes(secret.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, unlocked))
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
