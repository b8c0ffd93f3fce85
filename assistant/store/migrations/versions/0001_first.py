"""Apps, keys, people, consent records, catalogues, decisions, remembered baselines."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "apps",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False, unique=True),
        sa.Column("context", sa.String, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("hash", sa.String, primary_key=True),
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
    )
    op.create_table(
        "people",
        sa.Column("pseudonym", sa.String, primary_key=True),
        sa.Column("app", sa.String, sa.ForeignKey("apps.id"), nullable=False),
        sa.Column("lookup", sa.String, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("profile", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.UniqueConstraint("app", "lookup"),
    )
    op.create_table(
        "consents",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String, nullable=False, unique=True),
        sa.Column("person", sa.String, nullable=False),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("event", sa.String, nullable=False),
        sa.Column("modality", sa.String, nullable=False),
        sa.Column("purpose", sa.String, nullable=False),
        sa.Column("notice", sa.String, nullable=False),
        sa.Column("expires_at", sa.Float),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("evidence", sa.String, nullable=False),
        sa.Column("reason", sa.String),
    )
    op.create_index("consents_person", "consents", ["person", "seq"])
    op.create_table(
        "catalogues",
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
    op.create_index("decisions_person", "decisions", ["person", "at"])
    op.create_table(
        "remembered",
        sa.Column("person", sa.String, primary_key=True),
        sa.Column("modality", sa.String, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
