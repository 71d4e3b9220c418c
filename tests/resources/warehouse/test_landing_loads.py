"""Each offset is loaded once, each id is kept once, and the ranges are recorded with the rows."""

import datetime as dt
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest

from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import LANDED_TABLES, LOAD_COLUMNS, RAW_EVENTS, RAW_WINDOW_RESULTS, LandedTable
from resources.warehouse.landing_loads import LoadResult, load_in_batches, load_landed
from tests.landed_records import RECEIVED_AT, land_windows, window_result

KILLED = """
import os, signal, sys
from pathlib import Path
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import RAW_EVENTS
from resources.warehouse.landing_loads import load_landed
with Warehouse(Path(sys.argv[1])).write("load") as connection:
    load_landed(connection, LandingZone(Path(sys.argv[2])), RAW_EVENTS)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def load(warehouse: Warehouse, landing: LandingZone, table: LandedTable = RAW_EVENTS) -> LoadResult:
    with warehouse.write("load") as connection:
        return load_landed(connection, landing, table)


def ask(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.read() as connection:
        return connection.execute(query).fetchall()


def loaded_ids(warehouse: Warehouse) -> list[str]:
    return [row[0] for row in ask(warehouse, "SELECT event_id FROM raw.events ORDER BY event_id")]


def recorded(warehouse: Warehouse) -> list[tuple[Any, ...]]:
    return ask(
        warehouse,
        "SELECT log, kafka_partition, first_offset, last_offset, row_count, new_row_count, duplicate_count "
        "FROM raw.loads ORDER BY ALL",
    )


def test_empty_landing_zone_makes_empty_tables_with_the_columns_of_the_contract(
    warehouse: Warehouse, landing: LandingZone
) -> None:
    with warehouse.write("load") as connection:
        for target in LANDED_TABLES:
            assert load_landed(connection, landing, target).row_count == 0
            assert connection.table(target.table).columns == [*target.columns, *LOAD_COLUMNS, "key_hash"]
            if target.repeats is not None:
                assert connection.table(target.repeats).columns == [*target.columns, *LOAD_COLUMNS]


def test_same_files_are_loaded_once(warehouse: Warehouse, landing: LandingZone, land: Any) -> None:
    land(["a", "b"])
    land(["c"], first=2)
    land(["d"], partition=1)
    first = load(warehouse, landing)
    again = load(warehouse, landing)
    assert (first.file_count, first.row_count, first.new_row_count, first.table_row_count) == (3, 4, 4, 4)
    assert (again.file_count, again.row_count, again.new_row_count, again.table_row_count) == (0, 0, 0, 4)
    assert recorded(warehouse) == [("log-1", 0, 0, 2, 3, 3, 0), ("log-1", 1, 0, 0, 1, 1, 0)]


def test_compacted_file_brings_only_what_was_not_loaded(warehouse: Warehouse, landing: LandingZone, land: Any) -> None:
    land(["a", "b"])
    land(["c", "d"], first=2)
    load(warehouse, landing)
    for path in landing.root.rglob("*.parquet"):
        path.unlink()
    land(["a", "b", "c", "d", "e", "f"])
    result = load(warehouse, landing)
    assert (result.row_count, result.duplicate_count) == (2, 0)
    assert loaded_ids(warehouse) == ["a", "b", "c", "d", "e", "f"]
    assert recorded(warehouse)[-1] == ("log-1", 0, 4, 5, 2, 2, 0)


def test_old_files_beside_the_compacted_one_are_not_loaded_twice(
    warehouse: Warehouse, landing: LandingZone, land: Any
) -> None:
    land(["a", "b"])
    land(["a", "b", "c", "d"])
    land(["c", "d"], first=2)
    result = load(warehouse, landing)
    assert (result.row_count, result.duplicate_count) == (4, 0)
    assert loaded_ids(warehouse) == ["a", "b", "c", "d"]


def test_repeated_ids_are_kept_once_the_first_received_and_counted(
    warehouse: Warehouse, landing: LandingZone, land: Any
) -> None:
    land(["a", "b", "a"], minute=5)
    land(["b"], partition=1, minute=1)
    first = load(warehouse, landing)
    assert (first.row_count, first.new_row_count, first.duplicate_count) == (4, 2, 2)
    land(["a", "c"], first=3, minute=9)
    second = load(warehouse, landing)
    assert (second.row_count, second.new_row_count, second.table_row_count) == (2, 1, 3)
    kept = ask(warehouse, "SELECT event_id, kafka_partition, kafka_offset FROM raw.events ORDER BY event_id")
    assert kept == [("a", 0, 0), ("b", 1, 0), ("c", 0, 4)]
    repeated = ask(warehouse, "SELECT event_id, kafka_partition, kafka_offset FROM raw.repeated_events ORDER BY ALL")
    assert repeated == [("a", 0, 2), ("a", 0, 3), ("b", 0, 1)]
    assert recorded(warehouse) == [
        ("log-1", 0, 0, 2, 3, 1, 2),
        ("log-1", 0, 3, 4, 2, 1, 1),
        ("log-1", 1, 0, 0, 1, 1, 0),
    ]


def test_same_offsets_of_another_incarnation_are_other_records(
    warehouse: Warehouse, landing: LandingZone, land: Any
) -> None:
    land(["a"], log="log-1")
    land(["b"], log="log-2")
    assert load(warehouse, landing).new_row_count == 2


def test_range_without_a_record_is_recorded_as_covered(warehouse: Warehouse, landing: LandingZone, land: Any) -> None:
    land(["a", None, None])
    assert load(warehouse, landing).row_count == 1
    assert recorded(warehouse) == [("log-1", 0, 0, 2, 1, 1, 0)]
    assert load(warehouse, landing).file_count == 0


def test_rows_of_one_offset_are_told_apart_by_their_row(warehouse: Warehouse, landing: LandingZone) -> None:
    """A record of windows holds several results; a result that comes twice, even in one record, is kept once."""
    minute = dt.timedelta(minutes=1)
    first, second = (window_result(0, "w", key, RECEIVED_AT, minute) for key in ("a", "b"))
    land_windows(landing, [first, second, first], covers=(0, 1))
    loaded = load(warehouse, landing, RAW_WINDOW_RESULTS)
    assert (loaded.row_count, loaded.new_row_count, loaded.table_row_count) == (3, 2, 2)
    again = {**second, "kafka_offset": 2, "emitted_at": RECEIVED_AT + minute}
    land_windows(landing, [again, window_result(2, "w", "c", RECEIVED_AT, minute)])
    loaded = load(warehouse, landing, RAW_WINDOW_RESULTS)
    assert (loaded.row_count, loaded.new_row_count, loaded.table_row_count) == (2, 1, 3)
    assert recorded(warehouse) == [(first["log"], 0, 0, 1, 3, 2, 1), (first["log"], 0, 2, 2, 2, 1, 1)]
    assert ask(warehouse, "SELECT key, kafka_offset FROM raw.window_results ORDER BY ALL") == [
        ("a", 0),
        ("b", 0),
        ("c", 2),
    ]
    assert ask(warehouse, "SELECT key, kafka_offset FROM raw.repeated_window_results ORDER BY ALL") == [
        ("a", 0),
        ("b", 2),
    ]


def test_two_ids_with_one_hash_are_two_events(warehouse: Warehouse, landing: LandingZone, land: Any) -> None:
    """The hash only finds candidates: the ids themselves decide."""
    land(["a"])
    load(warehouse, landing)
    with warehouse.write("a collision") as connection:
        connection.execute("UPDATE raw.events SET key_hash = md5_number_lower('b')")
    land(["b"], first=1)
    assert load(warehouse, landing).new_row_count == 1


def test_rows_without_a_hash_are_found_again(warehouse: Warehouse, landing: LandingZone, land: Any) -> None:
    """A file of before the column, or a row that something else wrote."""
    land(["a"])
    load(warehouse, landing)
    with warehouse.write("an old file") as connection:
        connection.execute("ALTER TABLE raw.events DROP COLUMN key_hash")
    land(["a", "b"], first=1)
    assert load(warehouse, landing).new_row_count == 1
    assert loaded_ids(warehouse) == ["a", "b"]


def test_much_is_loaded_in_batches_in_the_order_in_which_it_came(
    warehouse: Warehouse, landing: LandingZone, land: Any
) -> None:
    """So the first of an id stays, whatever partition it is in; a batch is at least one file."""
    land(["a", "b"], minute=5)
    land(["b", "c"], first=2, minute=9)
    land(["c", "d"], partition=1, minute=7)
    land(["b"], partition=2, minute=1)
    batches = list(load_in_batches(warehouse, landing, RAW_EVENTS, purpose="load", batch_bytes=1))
    assert [(batch.file_count, batch.new_row_count) for batch in batches] == [(1, 1), (1, 1), (1, 2), (1, 0)]
    kept = ask(warehouse, "SELECT event_id, kafka_partition, kafka_offset FROM raw.events ORDER BY event_id")
    assert kept == [("a", 0, 0), ("b", 2, 0), ("c", 1, 0), ("d", 1, 1)]
    assert ask(warehouse, "SELECT count(DISTINCT loaded_at) FROM raw.events") == [(3,)]
    assert [batch.row_count for batch in load_in_batches(warehouse, landing, RAW_EVENTS, purpose="load")] == [0]


def test_batches_that_were_committed_stay_when_a_later_one_fails(
    warehouse: Warehouse, landing: LandingZone, land: Any
) -> None:
    """What had landed by a time is said to be loaded only when it is."""
    land(["a"], minute=1)
    land(["b"], first=1, minute=2)
    batches = load_in_batches(warehouse, landing, RAW_EVENTS, purpose="load", batch_bytes=1)
    assert next(batches).new_row_count == 1
    del batches
    assert loaded_ids(warehouse) == ["a"]
    assert ask(warehouse, "SELECT count(*) FROM raw.load_times") == [(0,)]
    (rest,) = load_in_batches(warehouse, landing, RAW_EVENTS, purpose="load", batch_bytes=1)
    assert (rest.file_count, rest.new_row_count, rest.table_row_count) == (1, 1, 2)
    assert ask(warehouse, "SELECT count(*) FROM raw.load_times") == [(1,)]


def test_every_load_says_when_it_listed_the_files(warehouse: Warehouse, landing: LandingZone, land: Any) -> None:
    """Also where nothing was new: what landed before then is in the warehouse."""
    land(["a"])
    times = []
    for _ in range(2):
        before = dt.datetime.now(dt.UTC)
        load(warehouse, landing)
        ((listed,),) = ask(warehouse, "SELECT listed_at FROM raw.load_times WHERE topic = 'events.v1'")
        assert before <= listed <= dt.datetime.now(dt.UTC)
        times.append(listed)
    assert times[0] < times[1]


def test_every_row_carries_the_time_of_its_load_which_grows_even_when_the_clock_is_set_back(
    warehouse: Warehouse, landing: LandingZone, land: Any
) -> None:
    land(["a", "b"])
    load(warehouse, landing)
    with warehouse.write("a clock from the future") as connection:
        connection.execute("UPDATE raw.loads SET loaded_at = loaded_at + INTERVAL 1 DAY")
    land(["a", "c"], first=2)
    load(warehouse, landing)
    times = dict(ask(warehouse, "SELECT event_id, loaded_at FROM raw.events"))
    assert times["a"] == times["b"]
    assert times["c"] > times["a"] + dt.timedelta(days=1)
    assert ask(warehouse, "SELECT loaded_at FROM raw.repeated_events") == [(times["c"],)]
    assert ask(warehouse, "SELECT max(loaded_at) FROM raw.loads") == [(times["c"],)]


def test_rows_of_before_the_column_get_the_time_of_the_first_load(
    warehouse: Warehouse, landing: LandingZone, land: Any
) -> None:
    land(["a", "a"])
    load(warehouse, landing)
    with warehouse.write("an old file") as connection:
        for table in ("raw.events", "raw.repeated_events"):
            connection.execute(f"ALTER TABLE {table} DROP COLUMN loaded_at")
    land(["b"], first=2)
    load(warehouse, landing)
    ((first, second),) = ask(warehouse, "SELECT min(loaded_at), max(loaded_at) FROM raw.loads")
    assert dict(ask(warehouse, "SELECT event_id, loaded_at FROM raw.events")) == {"a": first, "b": second}
    assert ask(warehouse, "SELECT loaded_at FROM raw.repeated_events") == [(first,)]


def test_load_killed_before_its_commit_leaves_nothing_and_the_next_one_takes_all(
    warehouse: Warehouse, landing: LandingZone, land: Any
) -> None:
    land(["a"])
    load(warehouse, landing)
    land(["b", "c"], first=1)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(warehouse.path), str(landing.root)], check=False, capture_output=True
    )
    assert killed.returncode == -signal.SIGKILL
    assert loaded_ids(warehouse) == ["a"]
    assert len(recorded(warehouse)) == 1
    assert load(warehouse, landing).new_row_count == 2


def test_damaged_file_loads_nothing_of_its_batch(warehouse: Warehouse, landing: LandingZone, land: Any) -> None:
    land(["a"])
    damaged: Path = land(["b"], first=1)
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(duckdb.Error, match=damaged.name):
        load(warehouse, landing)
    damaged.unlink()
    assert load(warehouse, landing).new_row_count == 1
