"""Alembic's entry: runs on the connection that `resources.identity.schema` hands over."""

from alembic import context

from resources.identity.models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
