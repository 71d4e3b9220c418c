"""Opens MLflow on its database; on SQLite it makes the database once, whoever comes first."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_SQLITE = "sqlite:///"


def is_sqlite(uri: str) -> bool:
    """True if the registry is a file of ours, with its artifacts in our folder."""
    return uri.startswith(_SQLITE)


def open_client(uri: str) -> Any:
    """An MlflowClient on this URI. Creating a fresh SQLite database takes some 10 s; afterwards this is quick."""
    # The platform tells nobody that it runs.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # our files are small, our logs are read
    from mlflow import MlflowClient

    with one_process(uri):
        client = MlflowClient(tracking_uri=uri, registry_uri=uri)
        client.search_experiments(max_results=1)  # opens the store, and with it makes or checks the schema
    return client


@contextlib.contextmanager
def one_process(uri: str) -> Iterator[None]:
    """Let one process at a time in: two that create one SQLite schema would break each other's migration."""
    if not is_sqlite(uri):
        yield
        return
    database = Path(uri.removeprefix(_SQLITE))
    database.parent.mkdir(parents=True, exist_ok=True)
    with database.with_name(f"{database.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # released when the file closes, also by a killed process
        yield
