"""Rewards and what was learned from them."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0010"


def upgrade() -> None:
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
