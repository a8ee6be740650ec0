"""Alembic's entry: migrates through the connection that the ledger hands in, inside its transaction."""

from alembic import context

from indexer.ledger.schema import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
context.run_migrations()
