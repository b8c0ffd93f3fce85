"""Alembic's entry point: runs the migrations on the connection it is handed."""

from alembic import context

from assistant.store import schema

context.configure(connection=context.config.attributes["connection"], target_metadata=schema.main)
with context.begin_transaction():
    context.run_migrations()
