"""A dbt-duckdb plugin that makes the folder of the warehouse file before dbt connects to it.

dbt's own hooks run after the connection is open, and DuckDB does not make folders.
"""

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin


class Plugin(BasePlugin):
    """Runs once for each dbt invocation that connects; does nothing for a database that is not a local file."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Make the folder. Raises OSError, which names it, where that is not allowed."""
        path = self.creds.path if self.creds is not None else ":memory:"
        if path != ":memory:" and "://" not in path and not path.startswith("md:"):
            Path(path).expanduser().parent.mkdir(parents=True, exist_ok=True)
