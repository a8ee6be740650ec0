"""How alike unrelated series are, and what the askers of the AE were answered."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "backgrounds",
        sa.Column("encoder", KEY, primary_key=True),
        sa.Column("modality", KEY, primary_key=True),
        sa.Column("body_part_examined", KEY, primary_key=True),
        sa.Column("pairs", sa.Integer, nullable=False),
        sa.Column("series", sa.Integer, nullable=False),
        sa.Column("quantiles", sa.Text, nullable=False),
        sa.Column("nearest", sa.Text, nullable=False),
        sa.Column("made_at", TIME, nullable=False),
    )
    op.create_table(
        "answers",
        sa.Column("question_id", KEY, primary_key=True),
        sa.Column("caller", KEY, nullable=False),
        sa.Column("asked_at", TIME, nullable=False),
        sa.Column("study_instance_uid", KEY, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_index("answers_by_caller", "answers", ["caller", "asked_at"])


def downgrade() -> None:
    op.drop_table("answers")
    op.drop_table("backgrounds")
