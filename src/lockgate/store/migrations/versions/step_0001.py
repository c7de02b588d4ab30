"""One table of keys and values.

SQLite keeps keys as text, which it compares byte by byte. PostgreSQL keeps them as bytes: the
order is that of collation "C" whatever the cluster's locale, and no character is forbidden.
"""  # noqa: INP001  # Alembic loads it by its path

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_KEY = sa.String(1024).with_variant(postgresql.BYTEA(), "postgresql")
_COLLECTION = sa.String(64).with_variant(sa.String(64, collation="C"), "postgresql")


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "records",
        sa.Column("collection", _COLLECTION, primary_key=True),
        sa.Column("key", _KEY, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    """Remove the table."""
    op.drop_table("records")
