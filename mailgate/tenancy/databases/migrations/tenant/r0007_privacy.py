"""Mailboxes that exist for those they are assigned to only, and access to them in an emergency."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("mailboxes", sa.Column("private", sa.Boolean(), server_default=sa.false(), nullable=False))
    op.execute(
        "UPDATE mailboxes SET private = 1 WHERE kind = 'personal' OR id IN "
        "(SELECT mailbox_id FROM assignments UNION SELECT mailbox_id FROM group_assignments)"
    )
    op.create_table(
        "break_glass",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("mailbox_id", sa.String(), nullable=False),
        sa.Column("requested_by", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("hours", sa.Integer(), nullable=False),
        sa.Column("requested_at", sa.Double(), nullable=False),
        sa.Column("confirmed_by", sa.String(), nullable=True),
        sa.Column("expires_at", sa.Double(), nullable=True),
        sa.Column("ended_at", sa.Double(), nullable=True),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name=op.f("fk_break_glass_mailbox_id_mailboxes"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_break_glass")),
    )
    op.create_index(op.f("ix_break_glass_mailbox_id"), "break_glass", ["mailbox_id"], unique=False)
    op.create_index(op.f("ix_break_glass_requested_by"), "break_glass", ["requested_by"], unique=False)
