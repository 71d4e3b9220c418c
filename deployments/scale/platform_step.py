"""One step on the platform: what Dagster's run does, the real load with its checks and the real `dbt build`."""

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from deployments.scale.own_process import Stopwatch, in_own_process
from platform_assets.defs.ingestion.contract_checks import check_contract, rows_of
from platform_assets.defs.ingestion.landed_counts import check_counts, check_key
from platform_assets.defs.ingestion.raw_landed import quarantine_loaded
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.dbt_build import DBT_PROJECT, TESTING_WHAT_IS_BUILT
from resources.warehouse.landed_tables import LANDED_TABLES, RAW_EVENTS, LandedTable
from resources.warehouse.landing_loads import LoadResult, load_in_batches
from resources.warehouse.reference_loads import REFERENCE_TABLES, load_reference, source_folder
from streaming.benchmark.processes import own_environment


class StepFailed(RuntimeError):
    """A check of a load failed, or dbt did."""


@dataclass(frozen=True)
class Loaded:
    """What the load of a step took; `checks_s` of its seconds went into checks and quarantine."""

    files: int
    batches: int
    rows: int
    new_rows: int
    seconds: float
    checks_s: float
    cpu_s: float
    peak_rss_mb: float


@dataclass(frozen=True)
class Built:
    """What a build took, what dbt says its models and its tests took of it, and every node of a second or more."""

    seconds: float
    cpu_s: float
    peak_rss_mb: float
    models_s: float
    tests_s: float
    slow_nodes: dict[str, float]


class NodeResult(msgspec.Struct):
    """Of one node in dbt's `run_results.json`."""

    unique_id: str
    status: str
    execution_time: float
    message: str | None = None


class RunResults(msgspec.Struct):
    """dbt's `run_results.json`."""

    results: list[NodeResult]


def load_reference_tables(warehouse: Path) -> None:
    """The shop's files, once."""
    with Warehouse(warehouse).write("reference data") as connection:
        for table in REFERENCE_TABLES:
            load_reference(connection, source_folder(), table)


def load(warehouse: Path, landing: Path) -> Loaded:
    """Load what has landed and check it, as the assets' steps do, in a process of its own.

    Raises:
        StepFailed: a check failed.
    """
    used = in_own_process(_load, warehouse, landing)
    events, checks_s = used.value
    return Loaded(
        files=sum(one.file_count for one in events),
        batches=len(events),
        rows=sum(one.row_count for one in events),
        new_rows=sum(one.new_row_count for one in events),
        seconds=used.seconds,
        checks_s=checks_s,
        cpu_s=used.cpu_s,
        peak_rss_mb=used.peak_rss_mb,
    )


def _load(path: Path, landing: Path) -> tuple[list[LoadResult], float]:
    """The loads of the events, and the seconds that the checks of all tables took."""
    warehouse, zone = Warehouse(path), LandingZone(landing)
    checking = Stopwatch()
    events = []
    for table in LANDED_TABLES:

        def judge(connection: duckdb.DuckDBPyConnection, table: LandedTable = table) -> None:
            with checking:
                quarantine_loaded(connection, table=table, run_id="scale")

        results = list(load_in_batches(warehouse, zone, table, purpose="scale", judge=judge))
        with checking:
            with warehouse.read() as connection:
                checks = [check_key(connection, table), check_counts(connection, zone, table)]
            checks.append(check_contract(warehouse, rows_of(table.table), purpose="scale"))
        failed = [f"{check.check_name} of {table.table}: {check.metadata}" for check in checks if not check.passed]
        if failed:
            raise StepFailed("; ".join(failed))
        if table is RAW_EVENTS:
            events = results
    return events, checking.seconds


def build(warehouse: Path, folder: Path) -> Built:
    """Run `dbt build`. Its JSON log is `folder/logs/dbt.log`, its target folder `folder/target`.

    Raises:
        StepFailed: a model or a test failed.
    """
    log = folder / "logs" / "dbt.log"
    log.unlink(missing_ok=True)
    environment = own_environment(WAREHOUSE__PATH=str(warehouse)) | {
        "DBT_STARTED_BY": str(os.getpid()),  # an interrupted run takes its dbt along
        "DBT_PROJECT_DIR": str(DBT_PROJECT),
        "DBT_PROFILES_DIR": str(DBT_PROJECT),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    command = [
        str(Path(sys.executable).with_name("dbt")),
        *("--log-level-file", "debug", "--log-format-file", "json", "--log-file-max-bytes", "0", "--quiet", "build"),
        *TESTING_WHAT_IS_BUILT,
    ]
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = process.stdout.read() if process.stdout is not None else ""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise StepFailed(f"dbt build ended with {process.returncode}:\n{said[-3000:]}")
    results = msgspec.json.decode((folder / "target" / "run_results.json").read_bytes(), type=RunResults).results
    return Built(
        seconds=time.monotonic() - began,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_mb=usage.ru_maxrss / 1024,
        models_s=sum(one.execution_time for one in results if one.unique_id.startswith(("model.", "snapshot."))),
        tests_s=sum(one.execution_time for one in results if one.unique_id.startswith(("test.", "unit_test."))),
        slow_nodes={one.unique_id: one.execution_time for one in results if one.execution_time >= 1},
    )
