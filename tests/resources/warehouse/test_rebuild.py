"""The rebuild's own steps, with a build of a few statements in dbt's place; the drill with dbt is in tests/faults."""

import multiprocessing
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
import yaml
from click.testing import CliRunner

from deployments.cli import main
from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone
from resources.settings import Settings
from resources.warehouse import Warehouse, rebuild_commands
from resources.warehouse import rebuild as rebuild_module
from resources.warehouse.carried_tables import MADE_AGAIN
from resources.warehouse.dbt_build import DBT_PROJECT, BuildFailed
from resources.warehouse.landed_tables import LANDED_TABLES
from resources.warehouse.landing_damage import LandingDamaged
from resources.warehouse.landing_loads import load_landed
from resources.warehouse.rebuild import Choices, RebuildUnderWay, rebuild, switch
from resources.warehouse.reference_loads import CAMPAIGN_DESCRIPTIONS, CAMPAIGNS, load_reference, source_folder
from resources.warehouse.snapshots import SERVED_MARTS, read_pointer
from tests.landed_records import event, land_events

VERIFIED = Choices(verifies=True)
SOURCES = (CAMPAIGNS, CAMPAIGN_DESCRIPTIONS)
"""Two small files; all six take 2 s a rebuild."""

Said = list[str]


def build(settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None]) -> None:
    """A mart over all events, a snapshot with a history, and empty marts in place of the others that are served."""
    with duckdb.connect(path) as connection:
        connection.execute(
            """
            SET TimeZone = 'UTC';
            CREATE SCHEMA IF NOT EXISTS marts;
            CREATE SCHEMA IF NOT EXISTS intermediate;
            CREATE TABLE IF NOT EXISTS intermediate.snap_campaigns (campaign_id VARCHAR, kind VARCHAR,
                dbt_scd_id VARCHAR, dbt_valid_from TIMESTAMP, dbt_valid_to TIMESTAMP);
            INSERT INTO intermediate.snap_campaigns
            SELECT campaign_id, campaign_type, campaign_id, now()::TIMESTAMP, NULL FROM raw.campaign_descriptions
            WHERE campaign_id NOT IN (SELECT campaign_id FROM intermediate.snap_campaigns);
            CREATE OR REPLACE TABLE marts.fct_event_days AS
            SELECT received_at::DATE AS event_date, event_name, source_service, count(*) AS event_count,
                max(loaded_at) AS loaded_at
            FROM raw.events GROUP BY ALL;
            """
        )
        for mart in SERVED_MARTS:
            columns = ", ".join(f"{name} VARCHAR" for name in mart.order_by)
            connection.execute(f"CREATE TABLE IF NOT EXISTS marts.{mart.name} ({columns})")


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(rebuild_module, "REFERENCE_TABLES", SOURCES)
    return Settings(data_dir=tmp_path)


@pytest.fixture
def landing(settings: Settings) -> LandingZone:
    return LandingZone(settings.landing_dir)


@pytest.fixture
def warehouse(settings: Settings, landing: LandingZone) -> Warehouse:
    """A warehouse after two loads of events, one of which came twice, with features and a campaign's history."""
    found = Warehouse.of(settings)
    land_events(landing, [event(offset) for offset in range(10)])
    run_platform(settings)
    land_events(landing, [event(offset) for offset in range(10, 20)] + [event(20, event_id="again")])
    land_events(landing, [event(0, partition=1, event_id="again")])
    run_platform(settings)
    with found.write("test") as connection:
        connection.execute(
            "CREATE SCHEMA features; CREATE TABLE features.customer_activity (entity_id VARCHAR PRIMARY KEY);"
            "INSERT INTO features.customer_activity VALUES ('1228')"
        )
    return found


def run_platform(settings: Settings) -> None:
    """What a run of warehouse_job does to the file."""
    warehouse = Warehouse.of(settings)
    with warehouse.write("test") as connection:
        for target in LANDED_TABLES:
            load_landed(connection, LandingZone(settings.landing_dir), target)
        if not connection.execute("FROM duckdb_tables() WHERE table_name = 'campaigns'").fetchall():
            for table in SOURCES:
                load_reference(connection, source_folder(), table)
    with warehouse.locked("test"):
        build(settings, warehouse.path, full_refresh=False, say=lambda _: None)


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute(query).fetchall()


def plant(warehouse: Warehouse, statement: str) -> None:
    with warehouse.write("test") as connection:
        connection.execute(statement)


def kept_files(warehouse: Warehouse) -> list[Path]:
    return sorted(warehouse.path.parent.glob("*.before-*"))


def test_rebuilt_warehouse_is_equal_and_takes_the_old_ones_place(settings: Settings, warehouse: Warehouse) -> None:
    before = warehouse.path.stat().st_ino
    said: Said = []
    found = rebuild(settings, VERIFIED, said.append, build)
    assert found.comparison is not None
    assert found.comparison.differences == []
    assert found.comparison.rows > 6_000  # the campaigns' households among them
    assert found.is_switched
    assert warehouse.path.stat().st_ino != before
    assert found.kept_as is not None
    assert found.kept_as.stat().st_ino == before
    assert not (warehouse.path.parent / "rebuilding").exists()
    assert rows(warehouse.path, "SELECT count(*) FROM raw.events") == [(21,)]
    assert any("2 of 3 files" in line or "3 of 3 files" in line for line in said)
    pointer = read_pointer(settings.snapshots_dir)
    assert pointer is not None
    assert pointer.tables["fct_event_days"].rows == 1


def test_what_cannot_be_made_again_is_carried_over(settings: Settings, warehouse: Warehouse) -> None:
    """A product's history, which the shop's file has forgotten, and features with their primary key."""
    plant(
        warehouse, "INSERT INTO intermediate.snap_campaigns VALUES ('retired', 'x', 'id', '2020-01-01', '2021-01-01')"
    )
    found = rebuild(settings, VERIFIED, print, build)
    assert found.carried.tables == ("features.customer_activity", "intermediate.snap_campaigns")
    query = "SELECT kind FROM intermediate.snap_campaigns WHERE campaign_id = 'retired'"
    assert rows(warehouse.path, query) == [("x",)]
    with pytest.raises(duckdb.ConstraintException):
        plant(warehouse, "INSERT INTO features.customer_activity VALUES ('1228')")


def test_planted_differences_are_found_and_the_old_warehouse_stays(settings: Settings, warehouse: Warehouse) -> None:
    plant(warehouse, "DELETE FROM raw.events WHERE event_id = 'again'")
    plant(warehouse, "UPDATE raw.events SET payload = '{\"price\": 0}' WHERE kafka_offset = 3")
    plant(warehouse, "UPDATE marts.fct_event_days SET event_count = event_count + 1")
    plant(warehouse, "UPDATE raw.campaign_descriptions SET campaign_type = 'none' WHERE campaign_id = '1'")
    plant(warehouse, "INSERT INTO raw.loads VALUES ('late.v1', 'lost', 0, 0, 9, 10, 10, 0, now())")
    before = warehouse.path.stat().st_ino
    found = rebuild(settings, VERIFIED, print, build)
    assert found.comparison is not None
    assert {one.table: (one.only_old, one.only_new) for one in found.comparison.differences} == {
        "raw.events": (1, 2),
        "marts.fct_event_days": (1, 1),
        "raw.campaign_descriptions": (1, 1),
        "raw.loads": (1, 0),
    }
    assert not found.is_switched
    assert warehouse.path.stat().st_ino == before
    assert kept_files(warehouse) == []
    accepted = Choices(verifies=True, accepts_differences=True, keeps_old=False)
    assert rebuild(settings, accepted, print, build).is_switched
    assert kept_files(warehouse) == []
    healed = rebuild(settings, VERIFIED, print, build).comparison
    assert healed is not None
    assert healed.differences == []


def test_what_the_platform_loads_meanwhile_is_taken_in_and_what_it_has_not_loaded_is_left(
    settings: Settings, warehouse: Warehouse, landing: LandingZone
) -> None:
    """Both have been given the same offsets, whatever happens during the build."""

    def build_beside_the_platform(
        settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None]
    ) -> None:
        build(settings, path, full_refresh=full_refresh, say=say)
        if full_refresh:
            land_events(landing, [event(offset) for offset in range(21, 31)])
            run_platform(settings)
            land_events(landing, [event(offset) for offset in range(31, 41)])

    found = rebuild(settings, VERIFIED, print, build_beside_the_platform)
    assert found.comparison is not None
    assert found.comparison.differences == []
    assert found.is_switched
    assert rows(warehouse.path, "SELECT count(*) FROM raw.events") == [(31,)]
    newest = "SELECT min(kafka_offset) FROM raw.events WHERE loaded_at = (SELECT max(loaded_at) FROM raw.events)"
    assert rows(warehouse.path, newest) == [(21,)]
    run_platform(settings)
    assert rows(warehouse.path, "SELECT count(*), count(DISTINCT event_id) FROM raw.events") == [(41, 41)]


def test_marts_that_are_behind_the_loads_are_built_before_the_comparison(
    settings: Settings, warehouse: Warehouse, landing: LandingZone
) -> None:
    """A run has loaded and not built yet."""
    land_events(landing, [event(offset) for offset in range(21, 25)])
    with warehouse.write("test") as connection:
        load_landed(connection, landing, LANDED_TABLES[0])
    found = rebuild(settings, VERIFIED, print, build)
    assert found.comparison is not None
    assert found.comparison.differences == []


def test_rows_keep_the_times_at_which_they_were_loaded(
    settings: Settings, warehouse: Warehouse, landing: LandingZone
) -> None:
    """What looks at newer rows only, as quarantine does, does not take all of history for new."""
    query = "SELECT kafka_partition, kafka_offset, loaded_at FROM raw.events ORDER BY ALL"
    repeats = query.replace("raw.events", "raw.repeated_events")
    before, repeats_before = rows(warehouse.path, query), rows(warehouse.path, repeats)
    land_events(landing, [event(21)])
    rebuild(settings, Choices(), print, build)
    after = rows(warehouse.path, query)
    (fresh,) = [row for row in after if row not in before]
    assert fresh[:2] == (0, 21)
    assert [row for row in after if row != fresh] == before
    assert rows(warehouse.path, repeats) == repeats_before
    assert repeats_before
    land_events(landing, [event(22)])
    run_platform(settings)
    assert rows(warehouse.path, "SELECT max_by(kafka_offset, loaded_at) FROM raw.events") == [(22,)]


def test_quarantine_is_carried_over_and_lets_out_what_it_let_out_meanwhile(
    settings: Settings, warehouse: Warehouse
) -> None:
    """An event that is released during a rebuild is newer than all others from then on, in the new file too."""
    plant(
        warehouse,
        """
        CREATE SCHEMA quality;
        CREATE TABLE quality.quarantined_rows (table_name VARCHAR, row_key VARCHAR, suite VARCHAR, reasons VARCHAR,
            run_id VARCHAR, quarantined_at TIMESTAMPTZ, row_loaded_at TIMESTAMPTZ, released_at TIMESTAMPTZ,
            released_by VARCHAR);
        CREATE TABLE quality.judged_to (suite VARCHAR PRIMARY KEY, fingerprint VARCHAR, loaded_at TIMESTAMPTZ);
        INSERT INTO quality.quarantined_rows SELECT 'raw.events', event_id, 's', 'r', '1', now(), loaded_at, NULL, NULL
        FROM raw.events WHERE kafka_offset = 5
        """,
    )

    def build_beside_a_release(
        settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None]
    ) -> None:
        build(settings, path, full_refresh=full_refresh, say=say)
        if full_refresh:
            plant(warehouse, "UPDATE raw.events SET loaded_at = now() WHERE kafka_offset = 5")
            plant(warehouse, "UPDATE quality.quarantined_rows SET released_at = now()")
            with warehouse.locked("test"):
                build(settings, warehouse.path, full_refresh=False, say=say)

    found = rebuild(settings, VERIFIED, print, build_beside_a_release)
    assert found.comparison is not None
    assert found.comparison.differences == []
    assert "quality.quarantined_rows" in found.carried.tables
    assert rows(warehouse.path, "SELECT max_by(kafka_offset, loaded_at) FROM raw.events") == [(5,)]


def test_without_verify_everything_that_landed_is_taken_and_nothing_compared(
    settings: Settings, warehouse: Warehouse, landing: LandingZone
) -> None:
    land_events(landing, [event(offset) for offset in range(21, 25)])
    found = rebuild(settings, Choices(), print, build)
    assert (found.comparison, found.is_switched) == (None, True)
    assert rows(warehouse.path, "SELECT count(*) FROM raw.events") == [(25,)]
    assert rows(warehouse.path, "FROM features.customer_activity") == [("1228",)]


def test_without_verify_what_comes_during_the_build_is_newer_than_what_was_built(
    settings: Settings, warehouse: Warehouse, landing: LandingZone
) -> None:
    """The old file's time of that load may lie before the rebuild's own: incremental models would not see its rows."""

    def build_beside_the_platform(
        settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None]
    ) -> None:
        build(settings, path, full_refresh=full_refresh, say=say)
        if full_refresh:
            built_to.extend(rows(path, "SELECT max(loaded_at) FROM raw.events"))
            land_events(landing, [event(offset) for offset in range(25, 31)])
            run_platform(settings)
            plant(warehouse, "UPDATE raw.events SET loaded_at = loaded_at - INTERVAL 1 MINUTE WHERE kafka_offset > 24")
            plant(warehouse, "UPDATE raw.loads SET loaded_at = loaded_at - INTERVAL 1 MINUTE WHERE first_offset > 24")

    built_to: list[tuple[object, ...]] = []
    land_events(landing, [event(offset) for offset in range(21, 25)])
    assert rebuild(settings, Choices(), print, build_beside_the_platform).is_switched
    came_later = "SELECT min(loaded_at) > $built_to FROM raw.events WHERE kafka_offset > 24"
    with duckdb.connect(warehouse.path, read_only=True) as connection:
        assert connection.execute(came_later, {"built_to": built_to[0][0]}).fetchall() == [(True,)]


def test_missing_warehouse_is_made_from_the_log(settings: Settings, warehouse: Warehouse) -> None:
    warehouse.path.unlink()
    found = rebuild(settings, VERIFIED, print, build)
    assert (found.damage, found.is_switched, found.kept_as) == ("it is not there", True, None)
    assert rows(warehouse.path, "SELECT count(*) FROM raw.events") == [(21,)]


@pytest.mark.parametrize("left", [0.001, 0.5])
def test_torn_warehouse_is_made_from_the_log(settings: Settings, warehouse: Warehouse, left: float) -> None:
    """F14: cut short at its header, and at its data."""
    size = warehouse.path.stat().st_size
    os.truncate(warehouse.path, max(10, int(size * left)))
    found = rebuild(settings, VERIFIED, print, build)
    assert found.damage
    assert found.is_switched
    assert found.kept_as is not None
    assert rows(warehouse.path, "SELECT count(*) FROM raw.events") == [(21,)]


def test_log_of_a_damaged_file_is_not_replayed_on_the_new_one(tmp_path: Path) -> None:
    """It goes with the old file, under that one's new name."""
    old, new = tmp_path / "analytics.duckdb", tmp_path / "rebuilding.duckdb"
    for path in (old, new):
        duckdb.connect(path).close()
    log = old.with_name(old.name + ".wal")
    log.write_bytes(b"what a crash left")
    kept_as = switch(old, new, keeps_old=True)
    assert kept_as is not None
    assert kept_as.with_name(kept_as.name + ".wal").read_bytes() == b"what a crash left"
    assert not log.exists()


def test_torn_landing_file_is_named_with_its_offsets_and_the_remedy(
    settings: Settings, warehouse: Warehouse, landing: LandingZone
) -> None:
    """F14: whole by its ends, damaged within; nothing but a full read finds it."""
    file = landing.files(EVENTS.name)[0]
    path = landing.root / file.path
    content = bytearray(path.read_bytes())
    content[40:200] = bytes(160)
    path.write_bytes(content)
    before = warehouse.path.stat().st_ino
    with pytest.raises(LandingDamaged) as caught:
        rebuild(settings, VERIFIED, print, build)
    assert str(file.path) in str(caught.value)
    assert f"offsets {file.first} to {file.last} of partition {file.partition}" in str(caught.value)
    assert ".torn-<name>" in str(caught.value)
    assert warehouse.path.stat().st_ino == before


def test_failing_build_leaves_the_old_warehouse(settings: Settings, warehouse: Warehouse) -> None:
    def fail(settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None]) -> None:
        raise BuildFailed("a test of dbt failed")

    before = warehouse.path.stat().st_ino
    with pytest.raises(BuildFailed):
        rebuild(settings, VERIFIED, print, fail)
    assert warehouse.path.stat().st_ino == before
    assert not (warehouse.path.parent / "rebuilding").exists()


def _rebuild_and_be_killed(settings: Settings) -> None:
    def kill(settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None]) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    rebuild(settings, VERIFIED, lambda _: None, kill)


def test_kill_in_the_middle_leaves_the_old_warehouse_and_no_lock(settings: Settings, warehouse: Warehouse) -> None:
    before = warehouse.path.stat().st_ino
    process = multiprocessing.get_context("fork").Process(target=_rebuild_and_be_killed, args=(settings,))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    assert (warehouse.path.parent / "rebuilding").exists()
    assert warehouse.path.stat().st_ino == before
    assert rows(warehouse.path, "SELECT count(*) FROM raw.events") == [(21,)]
    assert rebuild(settings, VERIFIED, print, build).is_switched


def test_one_rebuild_at_a_time(settings: Settings, warehouse: Warehouse) -> None:
    def again(settings: Settings, path: Path, *, full_refresh: bool, say: Callable[[str], None]) -> None:
        with pytest.raises(RebuildUnderWay, match="under way"):
            rebuild(settings, VERIFIED, print, build)
        build(settings, path, full_refresh=full_refresh, say=say)

    assert rebuild(settings, VERIFIED, print, again).is_switched


def test_schemas_that_dbt_fills_are_made_again() -> None:
    """A schema that is not named would be carried over and never compared."""
    project = yaml.safe_load((DBT_PROJECT / "dbt_project.yml").read_text())
    declared = {stage["+schema"] for stage in project["models"]["analytics"].values() if isinstance(stage, dict)}
    assert declared <= set(MADE_AGAIN)


def test_switch_is_one_rename_for_whoever_opens_the_file(tmp_path: Path) -> None:
    old, new = tmp_path / "old.duckdb", tmp_path / "rebuilding" / "old.duckdb"
    new.parent.mkdir()
    for path, number in ((old, 1), (new, 2)):
        with duckdb.connect(path) as connection:
            connection.execute(f"CREATE TABLE one AS SELECT {number} AS number")
    old.chmod(0o600)
    kept = switch(old, new, keeps_old=True)
    assert kept is not None
    assert kept.name.startswith("old.before-")
    assert rows(kept, "FROM one") == [(1,)]
    assert rows(old, "FROM one") == [(2,)]
    assert old.stat().st_mode & 0o777 == 0o600
    assert not new.exists()


def test_command_prints_the_differences_and_fails(
    settings: Settings, warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rebuild_without_dbt(settings: Settings, choices: Choices, say: Callable[[str], None]) -> object:
        return rebuild(settings, choices, say, build)

    monkeypatch.setattr(rebuild_commands, "rebuild", rebuild_without_dbt)
    plant(warehouse, "UPDATE raw.events SET payload = 'a\x1b[31mb' WHERE kafka_offset = 3")
    command = ["warehouse", "rebuild", "--verify", "--data-dir", str(settings.root)]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "DIFFERS raw.events: 1 rows only in the old one, 1 only in the new one" in result.stdout
    assert "payload=a?[31mb" in result.stdout
    assert "stays in service" in result.stdout
    accepted = CliRunner().invoke(main, [*command, "--accept-differences"])
    assert accepted.exit_code == 0
    assert "The rebuilt warehouse is in service" in accepted.stdout
    assert re.search(r"\.before-\d{8}T", accepted.stdout)
