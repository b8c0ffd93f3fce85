"""Every table of the main database, and triggers that let nobody change or remove a consent record.

Its revision is that of the last of seven migrations that made the same schema before: a database at that one is
current. One that is older can't be migrated by this version; `store.database.migrate` says so.
"""

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


def upgrade() -> None:
    op.create_table(
        "apps",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("context", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("settings", sa.String, nullable=False, server_default="{}"),
    )
    op.create_table(
        "api_keys",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("id", sa.String, nullable=False, server_default=""),
        sa.Column("name", sa.String, nullable=False, server_default=""),
        sa.Column(
            "scopes", sa.String, nullable=False, server_default="people consent infer catalogue rights tokens"
        ),
        sa.Column("used_at", sa.Float),
        sa.Column("expires_at", sa.Float),
        sa.Column("revoked_at", sa.Float),
    )
    op.create_index("api_keys_id", "api_keys", ["id"], unique=True)
    op.create_table(
        "people",
        sa.Column("pseudonym", sa.String, primary_key=True),
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), nullable=False),
        sa.Column("lookup", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("profile", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.Column("token_epoch", sa.Integer, nullable=False, server_default="0"),
        sa.UniqueConstraint("app", "lookup"),
    )
    op.create_table(
        "consents",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("modality", sa.String),
        sa.Column("purpose", sa.String),
        sa.Column("notice", sa.String),
        sa.Column("expires_at", sa.Float),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("evidence", sa.String, nullable=False),
        sa.Column("reason", sa.String),
        sa.Column("app", sa.String, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )
    op.create_index("consents_person", "consents", ["person", "seq"])
    op.create_index("consents_expires_at", "consents", ["expires_at"])
    op.create_table(
        "catalogues",
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_table(
        "policies",
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), primary_key=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("updated_at", sa.Float, nullable=False),
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("decisions_person", "decisions", ["person", "at", "id"])
    op.create_index("decisions_at", "decisions", ["at"])
    op.create_table(
        "moods",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("modality", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("moods_person", "moods", ["person", "seq"])
    op.create_index("moods_at", "moods", ["at"])
    op.create_table(
        "remembered",
        sa.Column("person", sa.String, primary_key=True),
        sa.Column("modality", sa.String, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "devices",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), nullable=False),
        sa.Column("lookup", sa.String, nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("app", "lookup"),
    )
    op.create_index("devices_person", "devices", ["person"])
    op.create_table(
        "contexts",
        sa.Column("person", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("contexts_expires_at", "contexts", ["expires_at"])
    op.create_table(
        "accesses",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("last_at", sa.Float, nullable=False),
        sa.Column("who", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
    )
    op.create_index("accesses_person", "accesses", ["person", "seq"])
    op.create_index("accesses_at", "accesses", ["last_at"])
    op.create_table(
        "rewards",
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), nullable=False),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("decision", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("felt", sa.Boolean, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("app", "decision", "key"),
        sqlite_autoincrement=True,
    )
    op.create_index("rewards_app", "rewards", ["app", "number"])
    op.create_index("rewards_person", "rewards", ["person"])
    op.create_table(
        "learned",
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
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
