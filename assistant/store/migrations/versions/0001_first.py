"""Every table of the main database, and triggers that let nobody change or remove a consent record.

Its revision is that of the last of seven migrations that made the same schema before: a database at that one is
current. One that is older can't be migrated by this version; `store.database.migrate` says so.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = None

_SQLITE_KEEPS = """
CREATE TRIGGER consents_keep_{verb} BEFORE {verb} ON consents
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END
"""
_POSTGRESQL_KEEPS = """
CREATE FUNCTION consents_keep() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the consent ledger is append-only'; END $$
"""


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.String, nullable=False, **options)


def _time(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=False)


def _count(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, **options)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, primary_key=True, autoincrement=True)


def _app(**options: Any) -> sa.Column[str]:
    return sa.Column("app", sa.String, sa.ForeignKey("apps.id"), nullable=False, **options)


def upgrade() -> None:
    # fmt: off
    op.create_table(
        "apps",
        _text("id", primary_key=True), _text("name", unique=True), _text("context"), _time("created_at"),
        _text("settings", server_default="{}"),
    )
    op.create_table(
        "api_keys",
        _text("hash", primary_key=True), _app(), _time("created_at"), _text("id", server_default=""),
        _text("name", server_default=""),
        _text("scopes", server_default="people consent infer catalogue rights tokens"),
        sa.Column("used_at", sa.Float), sa.Column("expires_at", sa.Float), sa.Column("revoked_at", sa.Float),
        sa.Index("api_keys_id", "id", unique=True),
    )
    op.create_table(
        "people",
        _text("pseudonym", primary_key=True), _app(), _text("lookup"), _count("version"), _bytes("profile"),
        _time("created_at"), _count("token_epoch", server_default="0"),
        sa.UniqueConstraint("app", "lookup"),
    )
    op.create_table(
        "consents",
        _number("seq"), _text("id", unique=True), _text("person"), _time("at"), _text("event"),
        sa.Column("modality", sa.String), sa.Column("purpose", sa.String), sa.Column("notice", sa.String),
        sa.Column("expires_at", sa.Float), _text("actor"), _text("evidence"), sa.Column("reason", sa.String),
        _text("app"), _text("hash"),
        sa.Index("consents_person", "person", "seq"), sa.Index("consents_expires_at", "expires_at"),
    )
    op.create_table("catalogues", _app(primary_key=True), _bytes("body"), _time("updated_at"))
    op.create_table("policies", _app(primary_key=True), _bytes("body"), _time("updated_at"))
    op.create_table(
        "decisions",
        _text("id", primary_key=True), _text("person"), _time("at"), _bytes("body"),
        sa.Index("decisions_person", "person", "at", "id"), sa.Index("decisions_at", "at"),
    )
    op.create_table(
        "moods",
        _number("seq"), _text("person"), _text("modality"), _time("at"), _bytes("body"),
        sa.Index("moods_person", "person", "seq"), sa.Index("moods_at", "at"),
    )
    op.create_table(
        "remembered",
        _text("person", primary_key=True), _text("modality", primary_key=True), _time("at"), _bytes("body"),
    )
    op.create_table(
        "devices",
        _text("id", primary_key=True), _app(), _text("lookup"), _text("person"), _time("at"), _bytes("body"),
        sa.UniqueConstraint("app", "lookup"), sa.Index("devices_person", "person"),
    )
    op.create_table(
        "contexts",
        _text("person", primary_key=True), _text("name", primary_key=True), _time("at"), _time("expires_at"),
        _bytes("body"),
        sa.Index("contexts_expires_at", "expires_at"),
    )
    op.create_table(
        "accesses",
        _number("seq"), _text("person"), _time("at"), _time("last_at"), _text("who"), _text("action"),
        _text("purpose"), _count("count"),
        sa.Index("accesses_person", "person", "seq"), sa.Index("accesses_at", "last_at"),
    )
    op.create_table(
        "rewards",
        _number("number"), _app(), _text("person"), _text("decision"), _text("key"), _time("at"),
        sa.Column("felt", sa.Boolean, nullable=False), _bytes("body"),
        sa.UniqueConstraint("app", "decision", "key"),
        sa.Index("rewards_app", "app", "number"), sa.Index("rewards_person", "person"),
        sqlite_autoincrement=True,
    )
    op.create_table("learned", _app(primary_key=True), _count("number"), _bytes("state"))
    # fmt: on
    _keep_consents(op.get_bind())


def _keep_consents(connection: sa.Connection) -> None:
    """Let the database refuse to change or remove a record. A later rebuild of the table needs this again."""
    if connection.dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(_SQLITE_KEEPS.format(verb=verb))
        return
    op.execute(_POSTGRESQL_KEEPS)
    op.execute(
        "CREATE TRIGGER consents_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON consents "
        "FOR EACH STATEMENT EXECUTE FUNCTION consents_keep()"
    )
