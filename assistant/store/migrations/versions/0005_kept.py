"""Mood history; and what a purge looks for by its age."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
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
    op.drop_index("decisions_person", "decisions")
    op.create_index("decisions_person", "decisions", ["person", "at", "id"])
    op.create_index("decisions_at", "decisions", ["at"])
