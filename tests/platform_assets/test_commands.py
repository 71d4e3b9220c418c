"""`analytics sql` shows what has landed at once, and the published marts once there are any."""

from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from platform_assets.commands import sql
from platform_assets.contracts.landing import EVENT_COLUMNS, LandingFile
from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone, arrow_schema


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


def test_tables_are_listed_without_a_query(data_dir: Path) -> None:
    assert "landing.events" in run(data_dir).output


def test_mistake_in_the_query_is_said_plainly(data_dir: Path) -> None:
    result = run(data_dir, "SELECT nonsense FROM landing.events")
    assert result.exit_code == 1
    assert "nonsense" in result.output


def test_many_rows_are_cut_with_a_word_about_it(data_dir: Path) -> None:
    result = run(data_dir, "--csv", "SELECT * FROM range(5000)")
    assert "Only the first 1000 rows are shown" in result.output
