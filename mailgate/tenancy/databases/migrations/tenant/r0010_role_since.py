"""Since when people have their role, and through whom; those of before have had it for long, through nobody known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("users", sa.Column("role_since", sa.Double(), server_default="0", nullable=False))
    op.add_column("users", sa.Column("made_by", sa.String(), server_default="", nullable=False))
