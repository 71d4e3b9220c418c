"""Small files become large ones, and at no moment is an offset in none of the files that count, or in two."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.contracts.landing import EVENT_COLUMNS, LandingFile
from platform_assets.contracts.topics import EVENTS
from resources.landing_compaction import Compacted, CompactionLimits, compact
from resources.landing_zone import LandingZone, LandingZoneDamaged
from tests.landed_records import LOG, event, land_events

AT_ONCE = CompactionLimits(settled_s=0, superseded_s=0)
SOON = CompactionLimits(settled_s=0, superseded_s=2)
KEPT = CompactionLimits(settled_s=0, superseded_s=3600)
ALL = {(LOG, partition): [(0, 10**9)] for partition in range(4)}


@pytest.fixture
def zone(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


def land(zone: LandingZone, *offsets: Sequence[int], partition: int = 0) -> None:
    """A file for each sequence of offsets."""
    for those in offsets:
        land_events(zone, [event(offset, partition=partition) for offset in those])


def names(zone: LandingZone) -> list[tuple[int, int, int]]:
    return [(file.partition, file.first, file.last) for file in zone.files(EVENTS.name)]


def on_disk(zone: LandingZone) -> list[str]:
    return sorted(path.name[15:20] + "-" + path.name[36:41] for path in zone.root.rglob("*.parquet"))


def offsets_read(zone: LandingZone) -> list[int]:
    """What a reader of the files that count finds in partition 0, in the order of the files."""
    paths = [str(zone.root / file.path) for file in zone.files(EVENTS.name) if file.partition == 0]
    with duckdb.connect() as connection:
        rows = connection.execute(
            "SELECT kafka_offset FROM read_parquet($paths, filename = true) ORDER BY filename, file_row_number",
            {"paths": paths},
        ).fetchall()
    return [row[0] for row in rows]


def run(zone: LandingZone, limits: CompactionLimits = AT_ONCE) -> Compacted:
    return compact(zone, EVENTS.name, ALL, limits)


def test_small_files_become_one_in_order_and_the_last_of_a_partition_stays(zone: LandingZone) -> None:
    land(zone, [0, 1], [2], [3, 4, 5], [6])
    land(zone, [0], partition=1)
    result = run(zone)
    assert names(zone) == [(0, 0, 5), (0, 6, 6), (1, 0, 0)]
    assert offsets_read(zone) == [0, 1, 2, 3, 4, 5, 6]
    assert (result.files_before, result.files_after, result.merged_files, result.rows) == (5, 3, 3, 6)
    assert 0 < result.bytes_after < result.bytes_before
    assert zone.recover(EVENTS.name, LOG, 0) == 7


def test_inputs_stay_until_readers_that_took_their_names_are_done(zone: LandingZone) -> None:
    """They count no more, and a later run removes them."""
    land(zone, [0], [1], [2])
    run(zone, KEPT)
    assert on_disk(zone) == ["00000-00000", "00000-00001", "00001-00001", "00002-00002"]
    assert names(zone) == [(0, 0, 1), (0, 2, 2)]
    assert zone.check(EVENTS.name, LOG, 0) == 3
    assert run(zone, KEPT).removed_files == 0
    assert run(zone).removed_files == 2
    assert on_disk(zone) == ["00000-00001", "00002-00002"]


def test_covered_offsets_without_a_record_stay_covered(zone: LandingZone) -> None:
    land_events(zone, [event(1)], covers=(0, 4))
    land_events(zone, [event(7)], covers=(5, 9))
    land(zone, [10])
    run(zone)
    assert names(zone) == [(0, 0, 9), (0, 10, 10)]
    assert offsets_read(zone) == [1, 7, 10]


def test_files_that_are_young_or_not_loaded_or_large_stay(zone: LandingZone) -> None:
    land(zone, [0], [1], [2], [3], [4])
    assert compact(zone, EVENTS.name, {}, AT_ONCE).merged_files == 0
    assert compact(zone, EVENTS.name, ALL, CompactionLimits(settled_s=60)).merged_files == 0
    assert compact(zone, EVENTS.name, ALL, CompactionLimits(file_bytes=1000, settled_s=0)).merged_files == 0
    assert compact(zone, EVENTS.name, {(LOG, 0): [(1, 2)]}, AT_ONCE).merged_files == 2
    assert names(zone) == [(0, 0, 0), (0, 1, 2), (0, 3, 3), (0, 4, 4)]


def test_merged_files_have_a_size_and_are_not_merged_again_for_one_more(zone: LandingZone) -> None:
    """Files of 5 kB up to 16 kB: three become one, which is more than half as large and stays."""
    land(zone, *([offset] for offset in range(8)))
    size = next(zone.root.rglob("*.parquet")).stat().st_size
    limits = CompactionLimits(file_bytes=int(size * 3.2), settled_s=0, superseded_s=0)
    run(zone, limits)
    assert names(zone) == [(0, 0, 2), (0, 3, 5), (0, 6, 6), (0, 7, 7)]


def test_column_that_only_newer_files_have_is_null_in_the_older_rows(zone: LandingZone) -> None:
    file = LandingFile(EVENTS.name, LOG, 0, 0, 0)
    old = pa.table({"kafka_offset": pa.array([0], pa.int64()), "schema_version": pa.array([1], pa.int16())})
    zone.write(old, file)
    land(zone, [1], [2])
    run(zone)
    merged = pq.ParquetFile(zone.root / zone.files(EVENTS.name)[0].path).read()
    assert merged.column("event_id").to_pylist() == [None, event(1)["event_id"]]
    assert merged.column("schema_version").to_pylist() == [1, 1]
    assert set(merged.column_names) == set(EVENT_COLUMNS)


def test_second_run_finds_nothing_to_do(zone: LandingZone) -> None:
    land(zone, [0], [1], [2])
    run(zone)
    run(zone)
    assert run(zone) == Compacted(files_before=2, files_after=2)


# A fork for each folder dies right after the n-th call that changes it: writing, syncing, naming or removing a file.
KILLED = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet as pq
from platform_assets.contracts.topics import EVENTS
import resources.landing_compaction as compaction
from resources.landing_zone import LandingZone
from tests.resources.test_landing_compaction import ALL, AT_ONCE

def step(work):
    def counted(*arguments, **named):
        global steps_left
        result = work(*arguments, **named)
        steps_left -= 1
        if steps_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return counted

pq.ParquetWriter.write_table = step(pq.ParquetWriter.write_table)
compaction.sync = step(compaction.sync)
Path.replace = step(Path.replace)
Path.unlink = step(Path.unlink)
for folder in sys.argv[1:]:
    child = os.fork()
    if not child:
        steps_left = int(Path(folder).name)
        for _ in range(2):
            compaction.compact(LandingZone(Path(folder)), EVENTS.name, ALL, AT_ONCE)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_run_that_is_killed_at_any_step_leaves_every_row_once_and_the_next_run_ends_it(tmp_path: Path) -> None:
    """Two groups are merged, in four steps each, and six inputs removed: the fifteenth step never comes."""
    zones = [LandingZone(tmp_path / str(steps)) for steps in range(1, 16)]
    for zone in zones:
        land(zone, [0], [1], [2], [3])
        land(zone, [0], [1], [2], [3], partition=1)
    command = [sys.executable, "-c", KILLED, *(str(zone.root) for zone in zones)]
    ended = subprocess.run(command, check=True, capture_output=True, text=True)
    assert ended.stdout.split() == [str(-signal.SIGKILL)] * 14 + ["0"]
    for zone in zones:
        assert offsets_read(zone) == [0, 1, 2, 3]
        assert zone.check(EVENTS.name, LOG, 0) == zone.check(EVENTS.name, LOG, 1) == 4
        run(zone)
        run(zone)
        assert on_disk(zone) == ["00000-00002", "00000-00002", "00003-00003", "00003-00003"]
        assert [path.name for path in zone.root.rglob(".*")] == []


@pytest.mark.parametrize("failing", ["write_table", "sync", "replace"])
def test_full_disk_leaves_the_inputs_and_nothing_half_done(
    zone: LandingZone, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    land(zone, [0], [1], [2])
    owner = {"write_table": pq.ParquetWriter, "sync": sys.modules[compact.__module__], "replace": Path}[failing]
    with monkeypatch.context() as patch:
        patch.setattr(owner, failing, full)
        with pytest.raises(OSError, match="No space left"):
            run(zone)
    assert on_disk(zone) == ["00000-00000", "00001-00001", "00002-00002"]
    assert [path.name for path in zone.root.rglob(".*")] == []
    assert run(zone).merged_files == 2


def test_damaged_input_stops_the_run_and_loses_nothing(zone: LandingZone) -> None:
    land(zone, [0], [1], [2])
    damaged = zone.root / zone.files(EVENTS.name)[1].path
    damaged.write_bytes(damaged.read_bytes()[:50])
    with pytest.raises(pa.ArrowInvalid):
        run(zone)
    assert on_disk(zone) == ["00000-00000", "00001-00001", "00002-00002"]


def test_file_that_overlaps_without_lying_in_another_is_still_damage(zone: LandingZone) -> None:
    land(zone, [0, 1, 2], [2, 3])
    with pytest.raises(LandingZoneDamaged):
        zone.check(EVENTS.name, LOG, 0)


COMPACTING = """
import sys
from pathlib import Path
from platform_assets.contracts.topics import EVENTS
from resources.landing_compaction import compact
from resources.landing_zone import LandingZone
from tests.resources.test_landing_compaction import ALL, SOON
zone, stop = LandingZone(Path(sys.argv[1])), Path(sys.argv[2])
merged = 0
while not stop.exists():
    merged += compact(zone, EVENTS.name, ALL, SOON).merged_files
print(merged)
"""


def test_writer_goes_on_beside_a_compaction_that_never_rests(zone: LandingZone, tmp_path: Path) -> None:
    """Another process merges while a worker lands 200 files and recovers its position ten times.

    Whoever lists a folder must find what it has listed: superseded files stay for longer than a listing takes.
    """
    stop = tmp_path / "stop"
    zone.root.mkdir()
    command = [sys.executable, "-c", COMPACTING, str(zone.root), str(stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as compacting:
        try:
            position = 0
            for _ in range(10):
                worker = LandingZone(zone.root)
                assert worker.recover(EVENTS.name, LOG, 0) == position
                for _ in range(20):
                    land(worker, range(position, position + 3))
                    position += 3
            deadline = time.monotonic() + 60
            while len(names(zone)) > 2 and time.monotonic() < deadline:
                os.sched_yield()
        finally:
            stop.touch()
        merged = int(compacting.communicate(timeout=60)[0])
    assert merged >= 199, "all but the last, which is never merged"
    assert len(names(zone)) == 2
    assert zone.check(EVENTS.name, LOG, 0) == position == 600
    assert offsets_read(zone) == list(range(600))
