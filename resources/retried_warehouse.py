"""The warehouse as Dagster's steps get it: one that finds the file busy for too long is tried again, after a pause.

Any other trouble fails a step at once: a second try would say the same, later.
"""

import contextlib
from collections.abc import Iterator

import duckdb
from dagster import RetryRequested

from resources.warehouse import LockTimeout, Warehouse

RETRIES = 2
PAUSE_S = 30.0


class RetriedWarehouse(Warehouse):
    """A warehouse whose `LockTimeout` asks Dagster for the step once more; for use inside a step only."""

    @contextlib.contextmanager
    def locked(self, purpose: str) -> Iterator[None]:
        with _retried(), super().locked(purpose):
            yield

    @contextlib.contextmanager
    def read(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with _retried(), super().read() as connection:
            yield connection

    @contextlib.contextmanager
    def attached(self) -> Iterator[duckdb.DuckDBPyConnection]:
        with _retried(), super().attached() as connection:
            yield connection


@contextlib.contextmanager
def _retried() -> Iterator[None]:
    try:
        yield
    except LockTimeout as error:
        raise RetryRequested(max_retries=RETRIES, seconds_to_wait=PAUSE_S) from error
