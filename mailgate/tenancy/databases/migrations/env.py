"""Run by Alembic. One environment for both schemas: `schema.py` passes the open connection and the tables meant."""

from __future__ import annotations

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=context.config.attributes["metadata"],
    render_as_batch=True,  # SQLite can't alter a column: Alembic copies the table
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
