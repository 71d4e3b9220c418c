"""Published copies of the marts that may be served: immutable files, a new name each time, and a pointer to the newest.

    <snapshots_dir>/marts-<nanoseconds>.duckdb      tables as marts.<name>
    <snapshots_dir>/current.json                    which file serves, and what is in it

A path is never used twice: a process that has a file open would go on reading the old one under the new name. The
pointer is replaced at once, so a reader finds the old copy or the new one, whole.
"""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import msgspec

from resources.durable_files import replace, sync
from resources.warehouse.database import Warehouse

POINTER = "current.json"
KEPT_SNAPSHOTS = 3


@dataclass(frozen=True)
class ServedMart:
    """A mart that may leave the warehouse; the copy is ordered, so that look-ups by these columns read little."""

    name: str
    order_by: tuple[str, ...]


# Whatever is not named here stays in the warehouse: purchase lines and what is known of a household, for two.
SERVED_MARTS: tuple[ServedMart, ...] = (
    ServedMart("data_quality_counts", ("rule",)),
    ServedMart("dim_campaigns", ("campaign_id",)),
    ServedMart("dim_products", ("product_id",)),
    ServedMart("fct_event_days", ("event_date", "event_name", "source_service")),
    ServedMart("fct_orders", ("ordered_at", "order_id")),
    ServedMart("fct_rejections", ("rejected_at", "rejection_id")),
    ServedMart("fct_sessions", ("started_at", "session_id")),
)


class SnapshotTable(msgspec.Struct, frozen=True):
    """One mart in a snapshot; equal fingerprints mean equal rows."""

    rows: int
    fingerprint: str


class LoadedTo(msgspec.Struct, frozen=True):
    """How far the warehouse had taken one partition of one log when the marts were published."""

    topic: str
    log: str
    partition: int
    next_offset: int


class Snapshot(msgspec.Struct, frozen=True):
    """What the pointer says. `file` is relative to the folder of snapshots."""

    file: str
    published_at: dt.datetime
    tables: dict[str, SnapshotTable]
    loaded: list[LoadedTo] = []


class SnapshotUnreadable(RuntimeError):
    """The pointer is there and cannot be read, or names a file that is not there."""


def publish_snapshot(
    warehouse: Warehouse, folder: Path, marts: Sequence[ServedMart] = SERVED_MARTS
) -> tuple[Snapshot, bool]:
    """Publish the marts if one of them changed; returns what serves now and whether it is new.

    The pointer also says how far the landing zone has been taken, so that a reader without the warehouse can tell
    whether a landed record is in: see `LoadedTo`.

    Raises:
        WarehouseMissing: there is no warehouse yet.
        duckdb.CatalogException: a mart does not exist; build the marts first.
    """
    folder.mkdir(parents=True, exist_ok=True)
    current = read_pointer(folder)
    with warehouse.read() as connection:
        # Before the copy: what is loaded meanwhile may be in the copy, but is not promised.
        loaded = _loaded(connection)
        if current is not None and (folder / current.file).exists():
            tables = {mart.name: describe_mart(connection, mart.name) for mart in marts}
            if current.tables == tables:
                unchanged = msgspec.structs.replace(current, loaded=loaded)
                replace(folder / POINTER, msgspec.json.format(msgspec.json.encode(unchanged)))
                return unchanged, False
    name = f"marts-{time.time_ns()}.duckdb"
    tables = _copy(warehouse, folder / name, marts)
    snapshot = Snapshot(name, dt.datetime.now(dt.UTC), tables, loaded)
    replace(folder / POINTER, msgspec.json.format(msgspec.json.encode(snapshot)))
    _prune(folder, name)
    return snapshot, True


def read_pointer(folder: Path) -> Snapshot | None:
    """What serves now, or None before the first publication.

    Raises:
        SnapshotUnreadable: the pointer is damaged.
    """
    try:
        return msgspec.json.decode((folder / POINTER).read_bytes(), type=Snapshot)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise SnapshotUnreadable(f"{folder / POINTER}: {error}; run warehouse_job to publish again.") from error


def describe_mart(connection: duckdb.DuckDBPyConnection, name: str) -> SnapshotTable:
    """Rows and fingerprint of `marts.<name>`: the sum of the rows' hashes, which their order does not change."""
    row = connection.execute(f"SELECT count(*), sum(hash(mart)) FROM marts.{name} AS mart").fetchone()  # noqa: S608
    rows, fingerprint = row if row is not None else (0, None)
    return SnapshotTable(int(rows), f"{int(fingerprint or 0):x}")


def _loaded(connection: duckdb.DuckDBPyConnection) -> list[LoadedTo]:
    known = connection.execute("SELECT 1 FROM duckdb_tables() WHERE schema_name = 'raw' AND table_name = 'loads'")
    if known.fetchone() is None:
        return []
    ends = connection.execute(
        "SELECT topic, log, kafka_partition, max(last_offset) + 1 FROM raw.loads GROUP BY ALL ORDER BY ALL"
    )
    return [LoadedTo(*row) for row in ends.fetchall()]


def _copy(warehouse: Warehouse, path: Path, marts: Sequence[ServedMart]) -> dict[str, SnapshotTable]:
    """Write the whole file, then give it its name; returns what it holds."""
    temporary = path.with_suffix(".tmp")
    try:
        with warehouse.copy_to(temporary) as connection:
            connection.execute("CREATE SCHEMA marts")
            for mart in marts:
                connection.execute(
                    f"CREATE TABLE marts.{mart.name} AS "
                    f"FROM warehouse.marts.{mart.name} ORDER BY {', '.join(mart.order_by)}"
                )
            tables = {mart.name: describe_mart(connection, mart.name) for mart in marts}
        sync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync(path.parent)
    return tables


def _prune(folder: Path, serving: str) -> None:
    """Readers may still have the one before open, or be about to open it."""
    older = sorted(path for path in folder.glob("marts-*.duckdb") if path.name < serving)
    for path in older[: -(KEPT_SNAPSHOTS - 1)]:
        path.unlink()
    for leftover in folder.glob("marts-*.tmp*"):
        leftover.unlink()
