"""API keys have an id, a name, scopes and a life; a person's tokens can be made void."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_SCOPES = "people consent infer catalogue rights tokens"
"""What a key that is older than scopes could do."""


def upgrade() -> None:
    with op.batch_alter_table("api_keys") as keys:
        keys.add_column(sa.Column("id", sa.String, nullable=False, server_default=""))
        keys.add_column(sa.Column("name", sa.String, nullable=False, server_default=""))
        keys.add_column(sa.Column("scopes", sa.String, nullable=False, server_default=_SCOPES))
        keys.add_column(sa.Column("used_at", sa.Float))
        keys.add_column(sa.Column("expires_at", sa.Float))
        keys.add_column(sa.Column("revoked_at", sa.Float))
    op.execute("UPDATE api_keys SET id = 'key_' || substr(hash, 1, 12)")
    op.create_index("api_keys_id", "api_keys", ["id"], unique=True)
    with op.batch_alter_table("people") as people:
        people.add_column(sa.Column("token_epoch", sa.Integer, nullable=False, server_default="0"))
