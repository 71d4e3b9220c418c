"""The warehouse at fault: a rebuild beside a running platform, torn files, a rebuild that is killed (F14, F25, F26).

All of it is the real command and the real dbt, on the purchases of forty households.
"""

import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.dbt_build import dbt_build
from resources.warehouse.landed_tables import LANDED_TABLES, RAW_EVENTS
from resources.warehouse.landing_loads import load_landed
from resources.warehouse.reference_loads import REFERENCE_TABLES, load_reference, source_folder
from resources.warehouse.snapshot_reader import SnapshotReader
from resources.warehouse.snapshots import publish_snapshot
from tests.faults.waiting import wait_until
from tests.landed_records import (
    LOG,
    RECEIVED_AT,
    event,
    land_events,
    land_late_events,
    land_predictions,
    land_purchases,
    land_rejections,
    land_windows,
    late_event,
    rejection,
    stream_prediction,
    window_result,
)

pytestmark = pytest.mark.integration

HOUSEHOLDS = 40
COMMAND = [str(Path(sys.executable).with_name("analytics")), "warehouse", "rebuild"]
AGGREGATES = """
SELECT 'lines', count(*), sum(sales_value::DECIMAL(18, 2))::VARCHAR FROM marts.fct_order_lines
UNION ALL SELECT 'orders', count(*), sum(sales_value::DECIMAL(18, 2))::VARCHAR FROM marts.fct_orders
UNION ALL SELECT 'sessions', count(*), sum(sales_value::DECIMAL(18, 2))::VARCHAR FROM marts.fct_sessions
UNION ALL SELECT 'events', sum(event_count)::BIGINT, NULL FROM marts.fct_event_days
UNION ALL SELECT 'rejections', count(*), NULL FROM marts.fct_rejections
"""


@pytest.fixture(scope="session")
def built_platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a platform whose warehouse was built in two steps, the second with late and repeated rows."""
    root = tmp_path_factory.mktemp("platform")
    settings = Settings(data_dir=root)
    landing = LandingZone(settings.landing_dir)
    land_purchases(landing, HOUSEHOLDS)
    land_rejections(landing, [rejection(offset) for offset in range(3)])
    hour = dt.timedelta(hours=1)
    land_windows(landing, [window_result(0, "store_sales_1h", "330", RECEIVED_AT, hour, aggregates='{"sales":12.5}')])
    land_late_events(landing, [late_event(0, source_offset=7)])
    land_predictions(landing, [stream_prediction(0)])
    load(settings)
    load_sources(settings)
    build(settings)
    with Warehouse.of(settings).read() as connection:
        late = (
            connection.execute(
                "SELECT * EXCLUDE (loaded_at, key_hash) FROM raw.events ORDER BY occurred_at, event_id LIMIT 20"
            )
            .to_arrow_table()
            .to_pylist()
        )
    end = landing.next_offset(EVENTS.name, LOG, 0)
    repeated = [row | {"kafka_partition": 0, "kafka_offset": end + place} for place, row in enumerate(late)]
    fresh = [
        row | {"event_id": f"late-{place}", "kafka_partition": 0, "kafka_offset": end + len(late) + place}
        for place, row in enumerate(late)
    ]
    land_events(landing, [*repeated, *fresh])
    load(settings)
    build(settings)
    publish_snapshot(Warehouse.of(settings), settings.snapshots_dir)
    return root


@pytest.fixture
def settings(built_platform: Path, tmp_path: Path) -> Settings:
    """A copy of that platform, for one test."""
    return Settings(data_dir=shutil.copytree(built_platform, tmp_path / "data"))


def load(settings: Settings) -> None:
    with Warehouse.of(settings).write("test") as connection:
        for target in LANDED_TABLES:
            load_landed(connection, LandingZone(settings.landing_dir), target)


def load_sources(settings: Settings) -> None:
    with Warehouse.of(settings).write("test") as connection:
        for table in REFERENCE_TABLES:
            load_reference(connection, source_folder(), table)


def build(settings: Settings) -> None:
    warehouse = Warehouse.of(settings)
    with warehouse.locked("test"):
        dbt_build(settings, warehouse.path, full_refresh=False, say=lambda _: None)


def aggregates(settings: Settings) -> list[tuple[object, ...]]:
    with Warehouse.of(settings).read() as connection:
        return connection.execute(AGGREGATES).fetchall()


def start(settings: Settings, *options: str) -> "subprocess.Popen[str]":
    command = [*COMMAND, *options, "--data-dir", str(settings.root)]
    log = (settings.root / "rebuild.log").open("w")
    with log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)


def inode(settings: Settings) -> int:
    return Warehouse.of(settings).path.stat().st_ino


def said(settings: Settings) -> str:
    return (settings.root / "rebuild.log").read_text()


def read_and_write_until_the_end(settings: Settings, process: "subprocess.Popen[str]") -> int:
    """What a platform does meanwhile: events land and are loaded, marts are read; returns how many reads there were."""
    landing, warehouse = LandingZone(settings.landing_dir), Warehouse.of(settings)
    reader = SnapshotReader(settings.snapshots_dir)
    reads = 0
    try:
        while process.poll() is None:
            position = landing.next_offset(EVENTS.name, LOG, 1)
            land_events(landing, [event(position + place, partition=1) for place in range(5)])
            with warehouse.write("test: a run beside the rebuild") as connection:
                load_landed(connection, landing, RAW_EVENTS)
            for _ in range(20):
                ((orders,),) = reader.look().database.run("SELECT count(*) FROM marts.fct_orders").rows
                assert orders > 1_000
                reads += 1
            time.sleep(1)  # a platform's runs are farther apart
    finally:
        reader.close()
    return reads


def test_rebuild_drill_beside_a_running_platform(settings: Settings) -> None:
    """F25, F26: no reader or run meets a lock error, and the rebuilt warehouse is equal to the incremental one."""
    before = inode(settings)
    process = start(settings, "--verify")
    reads = read_and_write_until_the_end(settings, process)
    assert process.returncode == 0, said(settings)
    assert "rows compared both ways: all equal." in said(settings)
    assert "building what came meanwhile" in said(settings)
    assert reads >= 100
    assert inode(settings) != before
    load(settings)
    build(settings)
    with Warehouse.of(settings).read() as connection:
        counted = connection.execute(
            "SELECT count(*), count(DISTINCT event_id), (SELECT sum(event_count) FROM marts.fct_event_days) "
            "FROM raw.events"
        ).fetchone()
    assert counted is not None
    assert counted[0] == counted[1] == counted[2]


def test_torn_warehouse_is_rebuilt_from_the_log_with_equal_aggregates(settings: Settings) -> None:
    """F14: the second half of the file is gone; histories and all that was loaded come back as far as they can."""
    expected = aggregates(settings)
    path = Warehouse.of(settings).path
    os.truncate(path, path.stat().st_size // 2)
    process = start(settings, "--verify", "--no-keep")
    assert process.wait(600) == 0, said(settings)
    assert "The old warehouse could not be read" in said(settings)
    assert aggregates(settings) == expected


def test_torn_landing_file_ends_a_rebuild_that_names_it(settings: Settings) -> None:
    """F14: the remedy is said, and the old warehouse stays in service."""
    landing = LandingZone(settings.landing_dir)
    path = landing.root / landing.files(EVENTS.name)[0].path
    os.truncate(path, path.stat().st_size // 2)
    before = inode(settings)
    process = start(settings, "--verify")
    assert process.wait(120) == 1
    assert str(path) in said(settings)
    assert "start the stream worker again" in said(settings)
    assert "The warehouse was not replaced." in said(settings)
    assert inode(settings) == before


def test_killed_rebuild_leaves_the_old_warehouse_and_no_dbt(settings: Settings) -> None:
    """kill -9 while dbt builds: a reader and a writer find the old file free and whole."""
    expected, before = aggregates(settings), inode(settings)
    process = start(settings, "--verify")
    building = settings.root / "warehouse" / "rebuilding"
    wait_until(lambda: "OK created" in said(settings), lambda: said(settings), 300)
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    gone, alive = psutil.wait_procs(children, 10)
    assert (len(gone), alive) == (len(children), [])
    assert building.exists()
    assert inode(settings) == before
    assert aggregates(settings) == expected
    load(settings)
