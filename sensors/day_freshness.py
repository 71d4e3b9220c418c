"""Asks whether the days are there when one becomes due, again when what was missing may have come, and tells people.

The check reads the warehouse and is a job of its own. This sensor reads what it said last, so a tick costs little.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from dagster import (
    AssetCheckKey,
    DagsterInstance,
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from platform_assets.defs.jobs import FRESHNESS_JOB, freshness_job
from platform_assets.defs.warehouse.day_freshness import DAYS_ARE_THERE, DUE_DAY
from resources.business_days import BusinessCalendar
from resources.notifier import Alert, Severity
from resources.notifier.notifier import OutboxNotifier
from resources.settings import Settings
from resources.warehouse.snapshots import Snapshot, read_pointer

DEDUP_KEY = "days_are_there"

_FIRST_ASKED_AFTER = dt.timedelta(minutes=5)
"""After the first publication: a first start has better things to do with two cores than to ask for days."""

_ASKED_AGAIN_AFTER = dt.timedelta(hours=1)
"""While days are missing, beside each publication: a day may have been built that changes no published mart."""

_SAID = {AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED}


@dataclass(frozen=True)
class Said:
    """What one check said last."""

    key: AssetCheckKey
    passed: bool
    due_day: dt.date
    text: str
    at: dt.datetime


@sensor(
    job=freshness_job,
    name="day_freshness_sensor",
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Requests one freshness_job when a business day becomes due, and alerts when days stay missing.",
)
def day_freshness_sensor(
    context: SensorEvaluationContext, settings: ResourceParam[Settings], notifier: ResourceParam[OutboxNotifier]
) -> SensorResult | SkipReason:
    """One tick. The cursor is the time since which days are missing, in ISO format; empty while none is."""
    published = read_pointer(settings.snapshots_dir)
    if published is None:
        return SkipReason("Nothing has been published yet.")
    now = dt.datetime.now(dt.UTC)
    due = BusinessCalendar.of(settings).newest_due(now, settings.warehouse.day_deadline)
    said = latest_results(context.instance)
    missing = [result for result in said if not result.passed]
    since = _missing_since(context.cursor, missing)
    _tell(notifier, settings, missing, since, now)
    run_key = _asks_for(said, due, published, now)
    request = [] if run_key is None else [RunRequest(run_key=run_key)]
    reason = None if request else f"{due} and the days before it were asked after; {len(missing)} marts lack some."
    return SensorResult(run_requests=request, skip_reason=reason, cursor=since.isoformat() if since else "")


def latest_results(instance: DagsterInstance) -> list[Said]:
    """What each check said last, whatever is planned since; those that never said anything are left out."""
    found = []
    for key in DAYS_ARE_THERE:
        for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=1, status=_SAID):
            evaluation = record.evaluation
            if evaluation is not None:
                due_day = dt.date.fromisoformat(str(evaluation.metadata[DUE_DAY].value))
                at = dt.datetime.fromtimestamp(record.create_timestamp, dt.UTC)
                found.append(Said(key, evaluation.passed, due_day, evaluation.description or "", at))
    return found


def _asks_for(said: Sequence[Said], due: dt.date, published: Snapshot, now: dt.datetime) -> str | None:
    """The key of the run that is wanted; None where nothing is to be asked.

    The same for an hour, since Dagster starts one run a key, ever: a run that failed without a word is asked for again.
    """
    if not said and now - published.published_at < _FIRST_ASKED_AFTER:
        return None
    if len(said) < len(DAYS_ARE_THERE) or any(result.due_day < due for result in said):
        return f"{FRESHNESS_JOB}/{due}/{now:%Y-%m-%dT%H}"
    asked_at = min(result.at for result in said)
    if all(result.passed for result in said):
        return None
    if asked_at < published.published_at:
        return f"{FRESHNESS_JOB}/{due}/{published.version}"
    return f"{FRESHNESS_JOB}/{due}/{now:%Y-%m-%dT%H}" if now - asked_at > _ASKED_AGAIN_AFTER else None


def _missing_since(cursor: str | None, missing: Sequence[Said]) -> dt.datetime | None:
    """Since when days are missing without a break: what the cursor remembers, else what was said first now."""
    if not missing:
        return None
    return dt.datetime.fromisoformat(cursor) if cursor else min(result.at for result in missing)


def _tell(
    notifier: OutboxNotifier, settings: Settings, missing: Sequence[Said], since: dt.datetime | None, now: dt.datetime
) -> None:
    """Alert when days have been missing for too long; a tick that says it again says the same alert, sent once."""
    patience = dt.timedelta(seconds=settings.warehouse.missing_day_alert_after_s)
    if since is not None and now - since >= patience:
        notifier.send(
            Alert(
                kind="days_missing",
                title=f"{len(missing)} daily marts lack business days",
                body="\n".join(f"{result.key.asset_key.to_user_string()}: {result.text}" for result in missing),
                severity=Severity.CRITICAL,
                source="the check of daily marts",
                dedup_key=DEDUP_KEY,
                occurred_at=since,
            )
        )
    elif since is None:
        notifier.resolve(
            Alert(
                kind="days_missing",
                title="The daily marts hold every business day that is due",
                body="What was missing is there.",
                severity=Severity.INFO,
                source="the check of daily marts",
                dedup_key=DEDUP_KEY,
                occurred_at=now,
            )
        )
