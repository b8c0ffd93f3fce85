"""The tables. Personal data is sealed with the person's key."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)


def _text(name: str, **options: Any) -> Column[str]:
    return Column(name, String, nullable=False, **options)


def _time(name: str) -> Column[float]:
    """A time in Unix seconds."""
    return Column(name, Float, nullable=False)


def _count(name: str, **options: Any) -> Column[int]:
    return Column(name, Integer, nullable=False, **options)


def _bytes(name: str) -> Column[bytes]:
    return Column(name, LargeBinary, nullable=False)


def _number(name: str) -> Column[int]:
    """A number that the database gives each row, in order."""
    return Column(name, Integer, primary_key=True, autoincrement=True)


def _app(**options: Any) -> Column[str]:
    return Column("app", String, ForeignKey("apps.id"), nullable=False, **options)


main = MetaData()
secrets = MetaData()

# fmt: off
apps = Table(
    "apps", main,
    _text("id", primary_key=True), _text("name", unique=True), _text("context"), _time("created_at"),
    _text("settings", server_default="{}"),
)
api_keys = Table(
    "api_keys", main,
    _text("hash", primary_key=True), _app(), _time("created_at"), _text("id", server_default=""),
    _text("name", server_default=""),
    _text("scopes", server_default="people consent infer catalogue rights tokens"),
    Column("used_at", Float), Column("expires_at", Float), Column("revoked_at", Float),
    Index("api_keys_id", "id", unique=True),
)
people = Table(
    "people", main,
    _text("pseudonym", primary_key=True), _app(), _text("lookup"), _count("version"), _bytes("profile"),
    _time("created_at"), _count("token_epoch", server_default="0"),
    UniqueConstraint("app", "lookup"),
)
consents = Table(
    "consents", main,
    _number("seq"), _text("id", unique=True), _text("person"), _time("at"), _text("event"),
    Column("modality", String), Column("purpose", String), Column("notice", String), Column("expires_at", Float),
    _text("actor"), _text("evidence"), Column("reason", String), _text("app"), _text("hash"),
    Index("consents_person", "person", "seq"), Index("consents_expires_at", "expires_at"),
)
catalogues = Table("catalogues", main, _app(primary_key=True), _bytes("body"), _time("updated_at"))
policies = Table("policies", main, _app(primary_key=True), _bytes("body"), _time("updated_at"))
decisions = Table(
    "decisions", main,
    _text("id", primary_key=True), _text("person"), _time("at"), _bytes("body"),
    Index("decisions_person", "person", "at", "id"), Index("decisions_at", "at"),
)
moods = Table(
    "moods", main,
    _number("seq"), _text("person"), _text("modality"), _time("at"), _bytes("body"),
    Index("moods_person", "person", "seq"), Index("moods_at", "at"),
)
remembered = Table(
    "remembered", main,
    _text("person", primary_key=True), _text("modality", primary_key=True), _time("at"), _bytes("body"),
)
devices = Table(
    "devices", main,
    _text("id", primary_key=True), _app(), _text("lookup"), _text("person"), _time("at"), _bytes("body"),
    UniqueConstraint("app", "lookup"), Index("devices_person", "person"),
)
contexts = Table(
    "contexts", main,
    _text("person", primary_key=True), _text("name", primary_key=True), _time("at"), _time("expires_at"),
    _bytes("body"),
    Index("contexts_expires_at", "expires_at"),
)
accesses = Table(
    "accesses", main,
    _number("seq"), _text("person"), _time("at"), _time("last_at"), _text("who"), _text("action"),
    _text("purpose"), _count("count"),
    Index("accesses_person", "person", "seq"), Index("accesses_at", "last_at"),
)
rewards = Table(
    "rewards", main,
    _number("number"), _app(), _text("person"), _text("decision"), _text("key"), _time("at"),
    Column("felt", Boolean, nullable=False), _bytes("body"),
    UniqueConstraint("app", "decision", "key"),
    Index("rewards_app", "app", "number"), Index("rewards_person", "person"),
    sqlite_autoincrement=True,
)
changes = Table(
    "changes", main,
    _number("seq"), _text("about"), _time("at"),
    sqlite_autoincrement=True,
)
learned = Table("learned", main, _app(primary_key=True), _count("number"), _bytes("state"))

person_keys = Table(
    "person_keys", secrets,
    _text("person", primary_key=True), _bytes("wrapped"), Column("master", String, index=True),
)
# fmt: on
