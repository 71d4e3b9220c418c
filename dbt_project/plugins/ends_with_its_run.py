"""A dbt-duckdb plugin that ends dbt when the process that started it for a run is gone.

A run that is killed outright cannot take its dbt along. Left alone, dbt would go on writing and keep the warehouse file
from the retry, which holds the lock around it by then and is refused by DuckDB itself.
"""

import os
import threading
import time
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin

STARTED_BY = "DBT_STARTED_BY"
_LOOK_EVERY_S = 0.2


class Plugin(BasePlugin):
    """Watches where the variable names a process and this one is its child; dbt by hand has no such variable."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Start the watch. The same plugin also runs in the run itself, which reads columns: it is no child of its own."""
        started_by = os.environ.get(STARTED_BY)
        if started_by is not None and int(started_by) != os.getpid():
            threading.Thread(target=_watch, args=(int(started_by),), name="ends-with-its-run", daemon=True).start()


def _watch(parent: int) -> None:
    # An orphan gets another parent at once, whoever takes that office. DuckDB's file is made for a sudden end.
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)
