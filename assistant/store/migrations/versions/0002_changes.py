"""A table of changes to what processes keep in memory, filled by triggers, so that no writer can forget it."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

_NOTED: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("people", "pseudonym", {"UPDATE": "", "DELETE": ""}),
    ("contexts", "person", {"INSERT": "", "UPDATE": "", "DELETE": ""}),
    ("apps", "id", {"UPDATE": "", "DELETE": ""}),
    # not the note of its use, which is written every minute
    ("api_keys", "app", {"UPDATE": "OF scopes, expires_at, revoked_at", "DELETE": ""}),
    ("policies", "app", {"INSERT": "", "UPDATE": "", "DELETE": ""}),
    ("catalogues", "app", {"INSERT": "", "UPDATE": "", "DELETE": ""}),
)
"""Tables, the column that says whom or what a row is about, and what is noted."""

_SQLITE_NOTES = """
CREATE TRIGGER {table}_note_{verb} AFTER {verb} {columns} ON {table}
BEGIN INSERT INTO changes (about, at) VALUES ({row}.{column}, (julianday('now') - 2440587.5) * 86400.0); END
"""
_POSTGRESQL_TURN = """
CREATE FUNCTION changes_turn() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_advisory_xact_lock(107105344418407); RETURN NULL; END $$
"""
_POSTGRESQL_NOTE = """
CREATE FUNCTION changes_note() RETURNS trigger LANGUAGE plpgsql AS
$$
DECLARE about text;
BEGIN
    EXECUTE format('SELECT ($1).%I', TG_ARGV[0]) INTO about USING CASE WHEN TG_OP = 'DELETE' THEN OLD ELSE NEW END;
    INSERT INTO changes (about, at) VALUES (about, extract(epoch FROM clock_timestamp()));
    PERFORM pg_notify('attune_consents', '');
    RETURN NULL;
END
$$
"""


def upgrade() -> None:
    columns: tuple[Any, ...] = (
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("about", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
    )
    op.create_table("changes", *columns, sqlite_autoincrement=True)
    if op.get_bind().dialect.name == "sqlite":
        for table, column, verbs in _NOTED:
            for verb, of in verbs.items():
                row = "OLD" if verb == "DELETE" else "NEW"
                op.execute(_SQLITE_NOTES.format(table=table, column=column, verb=verb, columns=of, row=row))
        return
    op.execute(_POSTGRESQL_TURN)
    op.execute(_POSTGRESQL_NOTE)
    for table, column, verbs in _NOTED:
        events = " OR ".join(f"{verb} {of}".strip() for verb, of in verbs.items())
        # before it locks a row: whoever waits for this turn then holds nothing that another could wait for
        op.execute(
            f"CREATE TRIGGER {table}_turn BEFORE {events} ON {table} FOR EACH STATEMENT "
            "EXECUTE FUNCTION changes_turn()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_note AFTER {events} ON {table} FOR EACH ROW "
            f"EXECUTE FUNCTION changes_note('{column}')"
        )
