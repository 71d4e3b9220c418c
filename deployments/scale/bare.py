"""The same work on bare DuckDB: one connection, no locks, no checks, no dbt.

It loads with the SQL that one would write, and then runs the statements that dbt has just sent for its models, as its
log holds them; those of tests are left out.
"""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from deployments.scale.own_process import in_own_process
from platform_assets.contracts.landing import EVENT_COLUMNS
from resources.warehouse.landed_tables import LANDED_TABLES, create_landed_table
from resources.warehouse.reference_loads import REFERENCE_TABLES, load_reference, source_folder

MEMORY_LIMIT = "8GB"
"""More than the platform may use in all: with 3 GB this SQL ran out of memory at 20 million events."""

_LOAD = f"""
INSERT INTO raw.events ({", ".join(EVENT_COLUMNS)}, loaded_at)
SELECT {", ".join(EVENT_COLUMNS)}, $loaded_at::TIMESTAMPTZ
FROM read_parquet($paths, hive_partitioning = false) AS landed
WHERE NOT EXISTS (FROM raw.events AS held WHERE held.event_id = landed.event_id)
QUALIFY row_number() OVER (PARTITION BY event_id ORDER BY received_at) = 1
"""  # noqa: S608 - names are our own constants


@dataclass(frozen=True)
class BareStep:
    """What a step took; the peak is of the whole process."""

    load_s: float
    build_s: float
    cpu_s: float
    peak_rss_mb: float


_OF_MODELS = ("model.", "snapshot.", "operation.analytics.analytics-on-run-start-")


class _Relation(msgspec.Struct):
    schema: str | None = None


class _Node(msgspec.Struct):
    unique_id: str = ""
    node_relation: _Relation = msgspec.field(default_factory=_Relation)


class _Data(msgspec.Struct):
    sql: str = ""
    node_info: _Node = msgspec.field(default_factory=_Node)


class _Info(msgspec.Struct):
    name: str


class _Line(msgspec.Struct):
    info: _Info
    data: _Data


def prepare(path: Path) -> None:
    """The raw tables and the shop's files, as on the platform."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(path) as connection:
        connection.execute("SET TimeZone = 'UTC'; SET enable_progress_bar = false")
        for landed in LANDED_TABLES:
            create_landed_table(connection, landed)
        for table in REFERENCE_TABLES:
            load_reference(connection, source_folder(), table)


def run_step(path: Path, files: Sequence[Path], loaded_at: dt.datetime, log: Path) -> BareStep:
    """Load the files and build, in a process of its own. `loaded_at` is what the platform gave the same rows.

    Raises:
        duckdb.Error: a statement failed.
    """
    used = in_own_process(_run, path, list(files), loaded_at, model_statements(log))
    load_s, build_s = used.value
    return BareStep(load_s, build_s, used.cpu_s, used.peak_rss_mb)


def model_statements(log: Path) -> list[str]:
    """What dbt sent for models and snapshots, in its order, from its log in JSON; first their schemas are made.

    What it does at its start belongs to it: there the tables are made that a source may lack.
    """
    decoder = msgspec.json.Decoder(_Line)
    schemas: set[str | None] = set()
    statements = []
    with log.open("rb") as lines:
        for line in lines:
            if b'"SQLQuery"' not in line:
                continue
            entry = decoder.decode(line)
            node = entry.data.node_info
            if entry.info.name == "SQLQuery" and node.unique_id.startswith(_OF_MODELS):
                schemas.add(node.node_relation.schema)
                statements.append(entry.data.sql)
    return [*(f"CREATE SCHEMA IF NOT EXISTS {schema}" for schema in schemas if schema), *statements]


def _run(path: Path, files: list[Path], loaded_at: dt.datetime, statements: list[str]) -> tuple[float, float]:
    with duckdb.connect(path) as connection:
        connection.execute(
            f"SET TimeZone = 'UTC'; SET memory_limit = '{MEMORY_LIMIT}'; SET enable_progress_bar = false"
        )
        began = time.monotonic()
        connection.execute(_LOAD, {"paths": [str(file) for file in files], "loaded_at": loaded_at})
        connection.execute("CHECKPOINT")
        loaded = time.monotonic()
        for statement in statements:
            connection.execute(statement)
        connection.execute("CHECKPOINT")
        return loaded - began, time.monotonic() - loaded
