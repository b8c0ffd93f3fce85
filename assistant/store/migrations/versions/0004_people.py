"""Settings of an app, a person's devices and recent context, and who read or used what is known of them."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    with op.batch_alter_table("apps") as apps:
        apps.add_column(sa.Column("settings", sa.String, nullable=False, server_default="{}"))
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
