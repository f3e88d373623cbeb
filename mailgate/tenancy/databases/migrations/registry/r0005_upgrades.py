"""Until when reverse-paths of forwarded mail had short tags: those under way go on until they are too old."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    table = op.create_table(
        "upgrades",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_upgrades")),
    )
    op.bulk_insert(table, [{"name": "short reverse-path tags", "at": time.time()}])
