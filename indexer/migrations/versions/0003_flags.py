"""Which cases the askers of the AE flagged as more, or less, alike."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "flags",
        sa.Column("caller", KEY, primary_key=True),
        sa.Column("study_instance_uid", KEY, primary_key=True),
        sa.Column("series_instance_uid", KEY, primary_key=True),
        sa.Column("flag", sa.Text, nullable=False),
        sa.Column("flagged_at", TIME, nullable=False),
        sa.CheckConstraint("flag IN ('more', 'less', 'none')", name="flags_flag"),
    )
    op.create_index("flags_by_age", "flags", ["flagged_at"])


def downgrade() -> None:
    op.drop_table("flags")
