"""Runs steps over the connection that `lockgate.store.schema` hands in; it opens none itself."""  # noqa: INP001  # Alembic loads it by its path

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
