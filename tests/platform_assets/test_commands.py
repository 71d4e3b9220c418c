"""`analytics sql` shows what has landed at once, and the published marts once there are any."""

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from platform_assets.commands import sql
from platform_assets.contracts.landing import EVENT_COLUMNS, LandingFile
from platform_assets.contracts.topics import EVENTS
from resources.landing_compaction import CompactionLimits, compact
from resources.landing_zone import LandingZone, arrow_schema
from tests.landed_records import (
    RECEIVED_AT,
    event,
    land_events,
    land_late_events,
    land_predictions,
    land_windows,
    late_event,
    stream_prediction,
    window_result,
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    columns = {name: [None, None] for name in EVENT_COLUMNS}
    table = pa.table(columns | {"event_id": ["a", "b"]}, schema=arrow_schema(EVENT_COLUMNS))
    LandingZone(tmp_path / "landing").write(table, LandingFile(EVENTS.name, "log-1", 0, 0, 1))
    return tmp_path


def run(data_dir: Path, *arguments: str) -> Result:
    return CliRunner().invoke(sql, [*arguments, "--data-dir", str(data_dir)])


def test_landed_events_are_there_before_any_run(data_dir: Path) -> None:
    result = run(data_dir, "--csv", "SELECT event_id FROM landing.events ORDER BY 1")
    assert result.output.splitlines() == ["event_id", "a", "b"]


def test_table_that_nothing_landed_in_yet_is_empty_and_not_missing(data_dir: Path) -> None:
    result = run(data_dir, "--csv", "SELECT count(*) AS n, max(reason) FROM landing.rejected_events")
    assert result.output.splitlines()[1] == "0,"


def test_late_events_windows_and_predictions_can_be_queried(data_dir: Path) -> None:
    landing = LandingZone(data_dir / "landing")
    land_late_events(landing, [late_event(0, source_offset=7)])
    land_windows(landing, [window_result(0, "w", key, RECEIVED_AT, dt.timedelta(minutes=1)) for key in ("a", "b")])
    land_predictions(landing, [stream_prediction(0)])
    query = (
        "SELECT (SELECT count(*) FROM landing.late_events), (SELECT count(*) FROM landing.window_results), "
        "(SELECT count(*) FROM landing.predictions)"
    )
    assert run(data_dir, "--csv", query).output.splitlines()[1] == "1,2,1"


def test_rows_of_files_that_were_merged_into_another_are_shown_once(data_dir: Path) -> None:
    landing = LandingZone(data_dir / "landing")
    for offset in (2, 3):
        land_events(landing, [event(offset, log="log-1")])
    loaded = {("log-1", 0): [(0, 3)]}
    assert compact(landing, EVENTS.name, loaded, CompactionLimits(settled_s=0)).merged_files == 2
    result = run(data_dir, "--csv", "SELECT count(*) FROM landing.events")
    assert result.output.splitlines()[1] == "4"


def test_tables_are_listed_without_a_query(data_dir: Path) -> None:
    assert "landing.events" in run(data_dir).output


def test_mistake_in_the_query_is_said_plainly(data_dir: Path) -> None:
    result = run(data_dir, "SELECT nonsense FROM landing.events")
    assert result.exit_code == 1
    assert "nonsense" in result.output


def test_many_rows_are_cut_with_a_word_about_it(data_dir: Path) -> None:
    result = run(data_dir, "--csv", "SELECT * FROM range(5000)")
    assert "Only the first 1000 rows are shown" in result.output
