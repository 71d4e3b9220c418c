"""Which troubles of a step pass by themselves. All others fail it at once: a second try would say the same, later."""

import contextlib
from collections.abc import Iterator

from dagster import RetryRequested

from resources.warehouse import LockTimeout

RETRIES = 2
PAUSE_S = 30.0


@contextlib.contextmanager
def retried_when_busy() -> Iterator[None]:
    """Ask for the step once more, after a pause, where the warehouse was not free in time."""
    try:
        yield
    except LockTimeout as error:
        raise RetryRequested(max_retries=RETRIES, seconds_to_wait=PAUSE_S) from error
