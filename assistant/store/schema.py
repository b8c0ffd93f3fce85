"""The tables. Columns that hold personal data hold it sealed with the person's key."""

from __future__ import annotations

from sqlalchemy import (
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
)

api_keys = Table(
    "api_keys",
    main,
    Column("hash", String, primary_key=True),
    Column("app", String, ForeignKey("apps.id"), nullable=False),
    Column("created_at", Float, nullable=False),
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
    Column("modality", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("notice", String, nullable=False),
    Column("expires_at", Float),
    Column("actor", String, nullable=False),
    Column("evidence", String, nullable=False),
    Column("reason", String),
    Index("consents_person", "person", "seq"),
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
    Index("decisions_person", "person", "at"),
)

remembered = Table(
    "remembered",
    main,
    Column("person", String, primary_key=True),
    Column("modality", String, primary_key=True),
    Column("at", Float, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

secrets = MetaData()

person_keys = Table(
    "person_keys",
    secrets,
    Column("person", String, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
)
