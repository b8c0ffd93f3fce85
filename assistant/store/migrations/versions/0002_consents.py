"""Consent records form a chain, name their app, and may be about no modality; nothing changes or removes them."""

import sqlalchemy as sa
from alembic import op

from assistant.consent.chain import GENESIS, link
from assistant.consent.receipt import Actor, Record

revision = "0002"
down_revision = "0001"

_NULLABLE = ("modality", "purpose", "notice")
_SQLITE_KEEPS = """
CREATE TRIGGER consents_keep_{verb} BEFORE {verb} ON consents
BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END
"""
_POSTGRESQL_KEEPS = """
CREATE FUNCTION consents_keep() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the consent ledger is append-only'; END $$
"""


def upgrade() -> None:
    with op.batch_alter_table("consents") as table:
        table.add_column(sa.Column("app", sa.String))
        table.add_column(sa.Column("hash", sa.String))
        for name in _NULLABLE:
            table.alter_column(name, existing_type=sa.String, nullable=True)
    _link(op.get_bind())
    with op.batch_alter_table("consents") as table:
        table.alter_column("app", existing_type=sa.String, nullable=False)
        table.alter_column("hash", existing_type=sa.String, nullable=False)
    op.create_index("consents_expires_at", "consents", ["expires_at"])
    _keep(op.get_bind())


def _link(connection: sa.Connection) -> None:
    """Give the records that exist their apps and their hashes."""
    names = (
        "seq",
        "id",
        "app",
        "person",
        "at",
        "event",
        *_NULLABLE,
        "expires_at",
        "actor",
        "evidence",
        "reason",
        "hash",
    )
    consents = sa.table("consents", *(sa.column(name) for name in names))
    people = sa.table("people", sa.column("pseudonym"), sa.column("app"))
    rows = connection.execute(sa.select(people.c.pseudonym, people.c.app)).all()
    apps = {row.pseudonym: row.app for row in rows}
    previous = GENESIS
    for row in connection.execute(sa.select(consents).order_by(consents.c.seq)).all():
        record = Record(
            id=row.id,
            person=row.person,
            at=row.at,
            event=row.event,
            modality=row.modality,
            purpose=row.purpose,
            notice=row.notice,
            expires_at=row.expires_at,
            actor=Actor(row.actor, row.evidence),
            reason=row.reason,
            app=apps.get(row.person, ""),
        )
        previous = link(previous, record)
        change = sa.update(consents).where(consents.c.seq == row.seq)
        connection.execute(change.values(app=record.app, hash=previous))


def _keep(connection: sa.Connection) -> None:
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
