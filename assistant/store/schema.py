"""The tables. Personal data is sealed with the person's key."""

from __future__ import annotations

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

main = MetaData()

apps = Table(
    "apps",
    main,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("context", String, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("settings", String, nullable=False, server_default="{}"),
)

api_keys = Table(
    "api_keys",
    main,
    Column("hash", String, primary_key=True),
    Column("app", String, ForeignKey("apps.id"), nullable=False),
    Column("created_at", Float, nullable=False),
    Column("id", String, nullable=False, server_default=""),
    Column("name", String, nullable=False, server_default=""),
    Column("scopes", String, nullable=False, server_default="people consent infer catalogue rights tokens"),
    Column("used_at", Float),
    Column("expires_at", Float),
    Column("revoked_at", Float),
    Index("api_keys_id", "id", unique=True),
)

people = Table(
    "people",
    main,
    Column("pseudonym", String, primary_key=True),
    Column("app", String, ForeignKey("apps.id"), nullable=False),
    Column("lookup", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("profile", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    Column("token_epoch", Integer, nullable=False, server_default="0"),
    UniqueConstraint("app", "lookup"),
)

consents = Table(
    "consents",
    main,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String, nullable=False, unique=True),
    Column("person", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("event", String, nullable=False),
    Column("modality", String),
    Column("purpose", String),
    Column("notice", String),
    Column("expires_at", Float),
    Column("actor", String, nullable=False),
    Column("evidence", String, nullable=False),
    Column("reason", String),
    Column("app", String, nullable=False),
    Column("hash", String, nullable=False),
    Index("consents_person", "person", "seq"),
    Index("consents_expires_at", "expires_at"),
)

catalogues = Table(
    "catalogues",
    main,
    Column("app", String, ForeignKey("apps.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("updated_at", Float, nullable=False),
)

policies = Table(
    "policies",
    main,
    Column("app", String, ForeignKey("apps.id"), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("updated_at", Float, nullable=False),
)

decisions = Table(
    "decisions",
    main,
    Column("id", String, primary_key=True),
    Column("person", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("decisions_person", "person", "at", "id"),
    Index("decisions_at", "at"),
)

moods = Table(
    "moods",
    main,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("person", String, nullable=False),
    Column("modality", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("moods_person", "person", "seq"),
    Index("moods_at", "at"),
)

remembered = Table(
    "remembered",
    main,
    Column("person", String, primary_key=True),
    Column("modality", String, primary_key=True),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

devices = Table(
    "devices",
    main,
    Column("id", String, primary_key=True),
    Column("app", String, ForeignKey("apps.id"), nullable=False),
    Column("lookup", String, nullable=False),
    Column("person", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("app", "lookup"),
    Index("devices_person", "person"),
)

contexts = Table(
    "contexts",
    main,
    Column("person", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("at", Float, nullable=False),
    Column("expires_at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("contexts_expires_at", "expires_at"),
)

accesses = Table(
    "accesses",
    main,
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("person", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("last_at", Float, nullable=False),
    Column("who", String, nullable=False),
    Column("action", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("count", Integer, nullable=False),
    Index("accesses_person", "person", "seq"),
    Index("accesses_at", "last_at"),
)

rewards = Table(
    "rewards",
    main,
    Column("number", Integer, primary_key=True, autoincrement=True),
    Column("app", String, ForeignKey("apps.id"), nullable=False),
    Column("person", String, nullable=False),
    Column("decision", String, nullable=False),
    Column("key", String, nullable=False),
    Column("at", Float, nullable=False),
    Column("felt", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("app", "decision", "key"),
    Index("rewards_app", "app", "number"),
    Index("rewards_person", "person"),
    sqlite_autoincrement=True,
)

learned = Table(
    "learned",
    main,
    Column("app", String, ForeignKey("apps.id"), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("state", LargeBinary, nullable=False),
)

secrets = MetaData()

person_keys = Table(
    "person_keys",
    secrets,
    Column("person", String, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master", String, index=True),
)
