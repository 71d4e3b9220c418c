"""Runs, code server and daemon are killed: runs end as they should, days are as if nothing had happened (F5, F6).

One set of processes serves all tests, in their order: what the first builds, with a kill in its middle, the others take
for the truth that they compare with.
"""

import datetime as dt
import os
import random
import time
from collections.abc import Iterator
from typing import Any

import psutil
import pytest
from dagster import AssetCheckResult, AssetKey, DagsterRunStatus, build_asset_check_context
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    BACKFILL_ID_TAG,
    MAX_RETRIES_TAG,
    RETRY_NUMBER_TAG,
)

from deployments.local.plan import CODE_SERVER, DAEMON, WEBSERVER
from platform_assets.defs.jobs import WAREHOUSE_JOB
from platform_assets.defs.stages import WAREHOUSE_POOL
from platform_assets.defs.warehouse.day_freshness import days_are_there
from platform_assets.defs.warehouse.dbt_models import DAILY_MODELS
from resources.business_days import DayRange
from resources.landing_zone import LandingZone
from resources.settings import DagsterSettings, Settings
from resources.warehouse import Warehouse
from tests.conftest import free_port
from tests.faults.orchestration import Orchestration
from tests.faults.scene import FEW_ROUNDS
from tests.faults.waiting import wait_until
from tests.landed_records import event, land_events, land_purchases

pytestmark = [
    pytest.mark.integration,
    pytest.mark.alone,
    pytest.mark.skipif(
        int(os.environ.get("FAULT_ROUNDS", FEW_ROUNDS)) <= FEW_ROUNDS, reason="five minutes; `make faults` runs it"
    ),
]

SUCCESS, FAILURE = DagsterRunStatus.SUCCESS, DagsterRunStatus.FAILURE
FAILS_WITHIN_S = 15.0
LONGEST_RUN_S = 300.0
"""A quarter of a minute on a machine that does nothing else; what is waited for here is the end, not the time."""
MARCH = DayRange(dt.date(2017, 3, 1), dt.date(2017, 3, 30))
LIVE_LOG = "live-log"
BOOKKEEPING = ("loaded_at", "product_changed_at")


@pytest.fixture(scope="module")
def dagster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestration]:
    settings = Settings(
        data_dir=tmp_path_factory.mktemp("orchestration") / "data",
        dagster=DagsterSettings(port=free_port(), code_server_port=free_port()),
    )
    landing = LandingZone(settings.landing_dir)
    land_purchases(landing, 5)
    found = Orchestration(settings)
    try:
        found.start(CODE_SERVER, WEBSERVER)
        # It would mark the days that are missing in a test of missing days.
        found.stop_sensor("built_days_sensor")
        found.start(DAEMON)
        yield found
    finally:
        found.close()


def days_now(settings: Settings) -> dict[str, set[tuple[Any, ...]]]:
    """The rows of each daily mart, without what tells when they were computed."""
    rows = {}
    with Warehouse.of(settings).read() as connection:
        for key in DAILY_MODELS:
            columns = f"* EXCLUDE ({', '.join(_bookkeeping(connection, key))})"
            rows[key.path[-1]] = set(connection.execute(f"SELECT {columns} FROM {'.'.join(key.path)}").fetchall())  # noqa: S608
    return rows


def _bookkeeping(connection: Any, key: AssetKey) -> list[str]:
    described = connection.execute(f"DESCRIBE {'.'.join(key.path)}").fetchall()
    return [name for name, *_ in described if name in BOOKKEEPING]


def kill_in_mid_build(dagster: Orchestration, run_id: str, choices: random.Random) -> float:
    """SIGKILL for the run's process somewhere in its dbt build; returns how long it took to be FAILURE."""
    dagster.wait_status(run_id, DagsterRunStatus.STARTED)
    worker = dagster.worker_of(run_id)
    building: list[psutil.Process] = []

    def builds() -> bool:
        building[:] = filter(None, [dagster.dbt_of(worker)])
        return bool(building)

    wait_until(builds, lambda: str(dagster.messages(run_id)[-5:]), LONGEST_RUN_S, every_s=0.3)
    time.sleep(choices.random() * 3)  # the build's moment, not a wait for anything
    worker.kill()
    took = dagster.wait_status(run_id, FAILURE, seconds=FAILS_WITHIN_S)
    wait_until(lambda: not building[0].is_running(), "dbt ends with its run", FAILS_WITHIN_S)
    return took


def retry_of(dagster: Orchestration, run_id: str) -> str:
    """The automatic retry of a run, once it is there."""

    def found() -> list[str]:
        return [run.run_id for run in dagster.runs() if run.parent_run_id == run_id and RETRY_NUMBER_TAG in run.tags]

    wait_until(lambda: bool(found()), lambda: dagster.log(DAEMON), 120)
    return found()[0]


def test_run_that_is_killed_in_mid_build_fails_within_seconds_and_its_retry_builds_everything(
    dagster: Orchestration, seed: int, record_property: Any
) -> None:
    """F5, on the first load, that the sensor has asked for: no slot of the pool and no dbt is left behind."""
    wait_until(lambda: bool(dagster.runs(WAREHOUSE_JOB)), lambda: dagster.log(DAEMON), 120)
    (first,) = dagster.runs(WAREHOUSE_JOB)
    took = kill_in_mid_build(dagster, first.run_id, random.Random(seed))  # noqa: S311 - the seed repeats the run
    record_property("fault", f"seed={seed} killed run FAILURE after {took:.1f} s")
    retry = retry_of(dagster, first.run_id)
    dagster.wait_status(retry, SUCCESS, FAILURE, seconds=LONGEST_RUN_S)
    assert dagster.status(retry) is SUCCESS, dagster.failures(retry)
    rows = days_now(dagster.settings)
    with Warehouse.of(dagster.settings).read() as connection:
        (events,) = connection.execute("SELECT count(*) FROM raw.events").fetchone() or (0,)
    assert len(rows["fct_order_lines"]) == events > 0


def test_thirty_missing_days_are_one_run_and_one_call_of_dbt_and_equal_what_the_retry_built(
    dagster: Orchestration,
) -> None:
    """The rows of the retry after the kill are those of an undisturbed build, in every daily mart."""
    before = days_now(dagster.settings)
    missing = [day.isoformat() for day in MARCH]
    for key in DAILY_MODELS:
        assert not dagster.instance.get_materialized_partitions(key) & set(missing)
    backfill = dagster.backfill(sorted(DAILY_MODELS), missing)
    wait_until(lambda: bool(dagster.runs(**{BACKFILL_ID_TAG: backfill})), lambda: dagster.log(DAEMON), 120)
    (run,) = dagster.runs(**{BACKFILL_ID_TAG: backfill})
    dagster.wait_status(run.run_id, SUCCESS, FAILURE, seconds=LONGEST_RUN_S)
    assert dagster.status(run.run_id) is SUCCESS, dagster.failures(run.run_id)
    assert len(dagster.runs(**{BACKFILL_ID_TAG: backfill})) == 1
    (call,) = [said for said in dagster.messages(run.run_id) if said.startswith("Running dbt command")]
    assert f'"first_day": "{MARCH.first}", "last_day": "{MARCH.last}"' in call
    for key in DAILY_MODELS:
        assert set(missing) <= dagster.instance.get_materialized_partitions(key)
    assert days_now(dagster.settings) == before


def freshness_of(dagster: Orchestration) -> dict[str, AssetCheckResult]:
    context = build_asset_check_context(instance=dagster.instance)
    warehouse = Warehouse.of(dagster.settings)
    said: Any = days_are_there(context, settings=dagster.settings, warehouse=warehouse)
    return {result.asset_key.path[-1]: result for result in said}


def test_killed_code_server_and_daemon_leave_no_run_started_and_load_everything_once(dagster: Orchestration) -> None:
    """F6. New events make the platform live; yesterday is missing, and no backfill of last month changes that."""
    assert all(result.passed for result in freshness_of(dagster).values()), "a replay is not live"
    landing, now = LandingZone(dagster.settings.landing_dir), dt.datetime.now(dt.UTC)
    known = {run.run_id for run in dagster.runs(WAREHOUSE_JOB)}

    def asked_for() -> list[str]:
        return [run.run_id for run in dagster.runs(WAREHOUSE_JOB) if run.run_id not in known]

    times = [now - dt.timedelta(days=3), now]
    rows = [event(number, log=LIVE_LOG, occurred_at=at, received_at=at) for number, at in enumerate(times)]
    os.utime(land_events(landing, rows), (now.timestamp() - 60,) * 2)
    wait_until(lambda: bool(asked_for()), lambda: dagster.log(DAEMON), 120)
    (killed,) = asked_for()
    dagster.wait_status(killed, DagsterRunStatus.STARTED)
    dagster.kill(CODE_SERVER)
    dagster.wait_status(killed, FAILURE, seconds=FAILS_WITHIN_S)

    dagster.start(CODE_SERVER)
    wait_until(lambda: len(asked_for()) > 1, lambda: dagster.log(DAEMON), 120)
    again = asked_for()[-1]
    dagster.wait_status(again, DagsterRunStatus.STARTED)
    dagster.kill(DAEMON)
    dagster.wait_status(again, SUCCESS, FAILURE, seconds=LONGEST_RUN_S)
    assert dagster.status(again) is SUCCESS, dagster.failures(again)
    back_at = time.time()
    dagster.start(DAEMON)
    wait_until(lambda: dagster.has_ticked_since("landed_events_sensor", back_at), lambda: dagster.log(DAEMON), 120)
    assert asked_for() == [killed, again]
    with Warehouse.of(dagster.settings).read() as connection:
        loaded = connection.execute("SELECT event_id FROM raw.events WHERE log = $log", {"log": LIVE_LOG}).fetchall()
    assert len(loaded) == len(set(loaded)) == len(rows)
    failing = {name for name, result in freshness_of(dagster).items() if not result.passed}
    assert failing == {"fct_event_days"}
    wait_until(lambda: not slots(dagster), "the pool is free again", 30)


def slots(dagster: Orchestration) -> list[Any]:
    """Who holds the warehouse's pool."""
    return list(dagster.instance.event_log_storage.get_concurrency_info(WAREHOUSE_POOL).claimed_slots)


def test_days_are_the_same_whenever_their_run_is_killed(dagster: Orchestration, seed: int, rounds: int) -> None:
    """F5 over and over, in a long run of the faults; the retry of one range of days each time."""
    choices = random.Random(seed)  # noqa: S311 - the seed repeats the run
    before = days_now(dagster.settings)
    tags = {
        ASSET_PARTITION_RANGE_START_TAG: MARCH.first.isoformat(),
        ASSET_PARTITION_RANGE_END_TAG: MARCH.last.isoformat(),
        MAX_RETRIES_TAG: "1",
    }
    for _ in range(rounds):
        run_id = dagster.launch(WAREHOUSE_JOB, assets=sorted(DAILY_MODELS), tags=tags)
        kill_in_mid_build(dagster, run_id, choices)
        retry = retry_of(dagster, run_id)
        dagster.wait_status(retry, SUCCESS, FAILURE, seconds=LONGEST_RUN_S)
        assert dagster.status(retry) is SUCCESS, dagster.failures(retry)
        assert days_now(dagster.settings) == before
