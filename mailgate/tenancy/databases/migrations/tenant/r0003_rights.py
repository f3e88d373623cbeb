"""Rights of assignments. Whoever had a mailbox keeps what that meant: all but handing it on, which owners may."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index(op.f("ix_assignments_user_id"), "assignments")
    op.rename_table("assignments", "assignments_before")
    op.create_table(
        "assignments",
        sa.Column("mailbox_id", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("rights", sa.String(), nullable=False),
        sa.Column("created_at", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["mailbox_id"], ["mailboxes.id"], name=op.f("fk_assignments_mailbox_id_mailboxes"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_assignments_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("mailbox_id", "user_id", name=op.f("pk_assignments")),
    )
    op.create_index(op.f("ix_assignments_user_id"), "assignments", ["user_id"], unique=False)
    op.execute(
        "INSERT INTO assignments (mailbox_id, user_id, rights, created_at) "
        "SELECT mailbox_id, user_id, CASE WHEN login = address THEN 'lrswipkxtea' ELSE 'lrswipkxte' END, "
        "assignments_before.created_at FROM assignments_before "
        "JOIN users ON users.id = user_id JOIN mailboxes ON mailboxes.id = mailbox_id"
    )
    op.drop_table("assignments_before")
