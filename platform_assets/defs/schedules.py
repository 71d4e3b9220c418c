"""What runs by the clock; times are those of the business. Landed events do not wait for it: see sensors."""

from dagster import DefaultScheduleStatus, RunRequest, ScheduleDefinition, SkipReason, schedule
from dagster._core.storage.tags import MAX_RETRIES_TAG

from platform_assets.defs.jobs import (
    churn_job,
    compaction_job,
    platform_checks_job,
    reference_job,
    warehouse_full_tests,
)
from resources.settings import load_settings

_SETTINGS = load_settings()
_TIMEZONE = _SETTINGS.warehouse.business_timezone
_ONCE_MORE = {MAX_RETRIES_TAG: "1"}

reference_daily = ScheduleDefinition(
    name="reference_daily",
    job=reference_job,
    tags=_ONCE_MORE,
    cron_schedule="0 5 * * *",
    execution_timezone=_TIMEZONE,
    default_status=DefaultScheduleStatus.RUNNING,
)
churn_weekly = ScheduleDefinition(
    name="churn_weekly",
    job=churn_job,
    tags=_ONCE_MORE,
    cron_schedule="0 6 * * 1",
    execution_timezone=_TIMEZONE,
    default_status=DefaultScheduleStatus.RUNNING,
)
platform_checks_hourly = ScheduleDefinition(
    name="platform_checks_hourly",
    job=platform_checks_job,
    cron_schedule=_SETTINGS.dagster.platform_checks_cron,
    execution_timezone=_TIMEZONE,
    default_status=DefaultScheduleStatus.RUNNING,
)
compaction_hourly = ScheduleDefinition(
    name="compaction_hourly",
    job=compaction_job,
    cron_schedule="30 * * * *",
    execution_timezone=_TIMEZONE,
    default_status=DefaultScheduleStatus.RUNNING,
)


@schedule(
    name="warehouse_full_tests_weekly",
    job=warehouse_full_tests,
    # Sunday night: nothing else of a week starts then, and it reads all history.
    cron_schedule="0 3 * * 0",
    execution_timezone=_TIMEZONE,
    default_status=DefaultScheduleStatus.RUNNING,
)
def warehouse_full_tests_weekly() -> RunRequest | SkipReason:
    """Once there is something to test."""
    if not _SETTINGS.warehouse_path.exists():
        return SkipReason("There is no warehouse yet.")
    return RunRequest()
