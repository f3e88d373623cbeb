"""Addresses that lead to groups and to other addresses."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "group_targets",
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("group_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["address"], ["addresses.address"], name=op.f("fk_group_targets_address_addresses"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["group_id"], ["groups.id"], name=op.f("fk_group_targets_group_id_groups"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("address", "group_id", name=op.f("pk_group_targets")),
    )
    op.create_index(op.f("ix_group_targets_group_id"), "group_targets", ["group_id"], unique=False)
    op.create_table(
        "onward",
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("to", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["address"], ["addresses.address"], name=op.f("fk_onward_address_addresses"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("address", "to", name=op.f("pk_onward")),
    )
    op.create_index(op.f("ix_onward_to"), "onward", ["to"], unique=False)
