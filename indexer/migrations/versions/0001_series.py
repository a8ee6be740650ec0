"""The series and what the ledger remembers."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "series",
        sa.Column("archive_id", KEY, primary_key=True),
        sa.Column("archive", KEY, nullable=False),
        sa.Column("study_instance_uid", KEY, nullable=False),
        sa.Column("series_instance_uid", KEY, nullable=False),
        sa.Column("modality", sa.Text, nullable=False),
        sa.Column("body_part_examined", sa.Text, nullable=False),
        sa.Column("study_date", sa.Date, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("detail", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("generation", sa.BigInteger, nullable=False),
        sa.Column("noticed_revision", sa.Text),
        sa.Column("wanted_at", TIME, nullable=False),
        sa.Column("due_at", TIME, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("abandoned", sa.Integer, nullable=False),
        sa.Column("lease_token", sa.BigInteger),
        sa.Column("lease_generation", sa.BigInteger, nullable=False),
        sa.Column("lease_owner", sa.Text),
        sa.Column("lease_until", TIME),
        sa.Column("revision", sa.Text),
        sa.Column("fingerprint", sa.Text),
        sa.Column("encoder", sa.Text),
        sa.CheckConstraint(
            "state IN ('waiting', 'leased', 'indexed', 'skipped', 'failed')", name="series_state"
        ),
        sa.CheckConstraint(
            "(state = 'leased') = (lease_owner IS NOT NULL AND lease_until IS NOT NULL)", name="series_lease"
        ),
    )
    op.create_index("series_by_urgency", "series", ["state", "priority", "due_at"])
    op.create_index("series_by_lease", "series", ["state", "lease_until"])
    op.create_index("series_by_age", "series", ["state", "wanted_at"])
    op.create_index("series_by_reason", "series", ["reason"])
    op.create_index("series_by_archive", "series", ["archive", "archive_id"])
    op.create_index("series_by_state", "series", ["state", "archive_id"])
    op.create_index("series_by_study", "series", ["study_instance_uid"])
    op.create_index("series_by_series", "series", ["series_instance_uid"])
    op.create_index(
        "series_by_study_date", "series", ["state", sa.text("study_date DESC"), "study_instance_uid"]
    )
    op.create_table(
        "memory",
        sa.Column("key", KEY, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("memory")
    op.drop_table("series")
