"""What each process may load: checked in a fresh interpreter, where everything else is made impossible to import."""

import subprocess
import sys

import pytest

BLOCKER = """
import importlib.abc, sys
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {blocked!r}:
            raise ModuleNotFoundError(f"{{name}} does not belong to this process")
sys.meta_path.insert(0, Blocker())
import {module}
"""


@pytest.mark.parametrize(
    ("module", "blocked"),
    [
        ("api.main", {"dagster", "dagster_dbt", "mlflow", "faust", "aiokafka", "pandas", "dbt", "duckdb", "psutil"}),
        ("streaming.app", {"dagster", "mlflow", "fastapi", "starlette", "uvicorn", "sklearn", "pandas", "duckdb"}),
        (
            "streaming.scoring.app",
            {"dagster", "mlflow", "fastapi", "sklearn", "skops", "threadpoolctl", "pandas", "duckdb"},
        ),
        ("deployments.cli", {"dagster", "mlflow", "fastapi", "faust", "sklearn", "pandas", "duckdb", "pyarrow"}),
        ("deployments.local.supervisor", {"dagster", "mlflow", "fastapi", "faust", "sklearn", "pandas", "duckdb"}),
        ("platform_assets.contracts.events", {"dagster", "pydantic", "pyarrow", "confluent_kafka", "numpy"}),
    ],
)
def test_process_starts_without_what_belongs_to_others(module: str, blocked: set[str]) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", BLOCKER.format(blocked=blocked, module=module)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert finished.returncode == 0, finished.stderr[-2000:]
