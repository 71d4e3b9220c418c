"""Runs `dbt build` as a user does and says what came of it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

DBT_PROJECT = Path(__file__).parents[2] / "dbt_project"


@dataclass(frozen=True)
class Built:
    """A finished `dbt build`: where its warehouse and its artefacts are."""

    warehouse: Path
    artefacts: Path

    def artefact(self, name: str) -> dict[str, Any]:
        """One of the JSON files that dbt leaves: manifest or run_results."""
        loaded: dict[str, Any] = json.loads((self.artefacts / f"{name}.json").read_text())
        return loaded

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The built warehouse's answer to a query, times in UTC."""
        with self._connect() as connection:
            return connection.sql(query).fetchall()

    def frame(self, query: str) -> pd.DataFrame:
        """The same answer as a frame."""
        with self._connect() as connection:
            return connection.sql(query).df()

    def _connect(self) -> duckdb.DuckDBPyConnection:
        connection = duckdb.connect(str(self.warehouse), read_only=True)
        connection.execute("set TimeZone = 'UTC'")
        return connection


def run_dbt_build(folder: Path, variables: Mapping[str, str], *arguments: str) -> str:
    """Run `dbt build` in a project's folder with no other settings than the given; fails with dbt's output."""
    return run_dbt(folder, variables, "build", *arguments)


def run_dbt(folder: Path, variables: Mapping[str, str], *arguments: str) -> str:
    """Run one of dbt's commands in the same way."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("ANALYTICS_", "DBT_"))}
    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "--no-use-colors", *arguments],
        cwd=folder,
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
