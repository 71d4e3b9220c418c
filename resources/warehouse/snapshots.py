"""Published copies of the marts that may be served: immutable files, one a mart, and a pointer to the newest of each.

    <snapshots_dir>/<mart>-<nanoseconds>.duckdb     one mart, as the table marts.<mart>
    <snapshots_dir>/snapshot.json                   which files serve, and what is in them

A mart that did not change keeps its file from one snapshot to the next; see `mart_copies` for one that did. A path is
never used twice: a process that has a file open would go on reading the old one under the new name. The pointer is
replaced at once, so a reader finds the old copies or the new ones, all of the same moment.
"""

import datetime as dt
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import duckdb
import msgspec

from resources.durable_files import replace
from resources.warehouse.database import Warehouse, has_table
from resources.warehouse.lock import writer_lock
from resources.warehouse.mart_copies import ServedMart, SnapshotTable, publish_mart

POINTER = "snapshot.json"
KEPT_SNAPSHOTS = 3

# Whatever is not named here stays in the warehouse: purchase lines and what is known of a household, for two.
SERVED_MARTS: tuple[ServedMart, ...] = (
    ServedMart("data_quality_counts", ("rule",)),
    ServedMart("dim_campaigns", ("campaign_id",)),
    ServedMart("dim_products", ("product_id",)),
    ServedMart("fct_daily_sales", ("order_date", "department", "brand"), has_days=True),
    ServedMart("fct_event_days", ("event_date", "event_name", "source_service"), has_days=True),
    ServedMart("fct_orders", ("order_date", "order_id"), has_days=True),
    ServedMart("fct_rejections", ("rejected_at", "rejection_id")),
    ServedMart("fct_sessions", ("session_date", "session_id"), has_days=True),
)


class LoadedTo(msgspec.Struct, frozen=True):
    """How far the warehouse had taken one partition of one log when the marts were published."""

    topic: str
    log: str
    partition: int
    next_offset: int


class Snapshot(msgspec.Struct, frozen=True):
    """What the pointer says.

    `published_at` is when a mart last changed, `checked_at` when all were last found equal to the warehouse's.
    `older` are the files of the snapshots before, the newest first, which readers may still have open.
    """

    version: str
    published_at: dt.datetime
    tables: dict[str, SnapshotTable]
    loaded: list[LoadedTo] = []
    checked_at: dt.datetime | None = None
    older: list[list[str]] = []

    @property
    def files(self) -> list[str]:
        """Its files' names."""
        return [table.file for table in self.tables.values()]


class SnapshotUnreadable(RuntimeError):
    """The pointer is there and cannot be read, or names a file that is damaged or gone."""


def publish_snapshot(
    warehouse: Warehouse, folder: Path, marts: Sequence[ServedMart] = SERVED_MARTS
) -> tuple[Snapshot, bool]:
    """Publish the marts that changed; returns what serves now and whether it is new.

    The pointer also says how far the landing zone has been taken, so that a reader without the warehouse can tell
    whether a landed record is in: see `LoadedTo`.

    Raises:
        WarehouseMissing: there is no warehouse yet.
        duckdb.CatalogException: a mart does not exist; build the marts first.
        LockTimeout: a writer, or another publication, took too long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with writer_lock(folder / ".lock", timeout_s=warehouse.lock_timeout_s, purpose="publish marts"):
        return _publish(warehouse, folder, marts)


def _publish(warehouse: Warehouse, folder: Path, marts: Sequence[ServedMart]) -> tuple[Snapshot, bool]:
    serving = _serving(folder)
    before = {} if serving is None else serving.tables
    version = str(time.time_ns())
    # One session for all: the copies are of one moment, and what the pointer promises as loaded is in them.
    with warehouse.attached() as connection:
        loaded = _loaded(connection)
        try:
            tables = {
                mart.name: publish_mart(connection, folder, mart, before=before.get(mart.name), version=version)
                for mart in marts
            }
        except BaseException:
            for path in folder.glob(f"*-{version}.duckdb"):
                path.unlink()
            raise
    now = dt.datetime.now(dt.UTC)
    if serving is not None and serving.tables == tables:
        snapshot = msgspec.structs.replace(serving, loaded=loaded, checked_at=now)
    else:
        older = [] if serving is None else [serving.files, *serving.older][: KEPT_SNAPSHOTS - 1]
        snapshot = Snapshot(version, now, tables, loaded, checked_at=now, older=older)
    replace(folder / POINTER, msgspec.json.format(msgspec.json.encode(snapshot)))
    _prune(folder, {*snapshot.files, *(file for files in snapshot.older for file in files)})
    return snapshot, serving is None or snapshot.version != serving.version


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


def _serving(folder: Path) -> Snapshot | None:
    try:
        return read_pointer(folder)
    except SnapshotUnreadable:
        return None  # a new publication is the remedy


def _loaded(connection: duckdb.DuckDBPyConnection) -> list[LoadedTo]:
    if not has_table(connection, "raw.loads", database="warehouse"):
        return []
    ends = connection.execute(
        "SELECT topic, log, kafka_partition, max(last_offset) + 1 FROM warehouse.raw.loads GROUP BY ALL ORDER BY ALL"
    )
    return [LoadedTo(*row) for row in ends.fetchall()]


def _prune(folder: Path, wanted: Iterable[str]) -> None:
    """Readers may still have the snapshots before open, or be about to open them."""
    kept = set(wanted)
    for path in folder.glob("*.duckdb"):
        if path.name not in kept:
            path.unlink()
    for leftover in folder.glob("*.tmp*"):
        leftover.unlink()
