"""Mailboxes assigned to groups; a quota for each mailbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "group_assignments",
        sa.Column("mailbox_id", sa.String(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.Column("rights", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name=op.f("fk_group_assignments_mailbox_id_mailboxes"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_assignments_group_id_groups"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "group_id", name=op.f("pk_group_assignments")),
    )
    op.create_index(op.f("ix_group_assignments_group_id"), "group_assignments", ["group_id"], unique=False)
    op.add_column("mailboxes", sa.Column("quota", sa.Integer(), nullable=True))
