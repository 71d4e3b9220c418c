"""Tells people when a run has failed for good, when its job runs again, and what could not be told before.

Dagster keeps a cursor for each of the two run sensors, and the notifier's outbox knows what was said: a tick that is
repeated after a crash says nothing twice. A run that Dagster retries by itself is not news; its last attempt is.
"""

import datetime as dt

from dagster import (
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    ResourceParam,
    RunFailureSensorContext,
    RunStatusSensorContext,
    SensorEvaluationContext,
    SkipReason,
    run_failure_sensor,
    run_status_sensor,
    sensor,
)
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
    WILL_RETRY_TAG,
)

from platform_assets.defs.partitions import LANDED_FILES_TAG
from resources.notifier import Alert, Severity
from resources.notifier.notifier import OutboxNotifier
from resources.settings import Settings

_MOST_STEPS = 3


@run_failure_sensor(
    name="failed_runs_sensor",
    minimum_interval_seconds=15,
    default_status=DefaultSensorStatus.RUNNING,
    description="Alerts once when a run has failed and is not retried.",
)
def failed_runs_sensor(
    context: RunFailureSensorContext, notifier: ResourceParam[OutboxNotifier], settings: ResourceParam[Settings]
) -> None:
    """One failed run."""
    run = context.dagster_run
    if run.tags.get(WILL_RETRY_TAG) == "true":
        context.log.info("Run %s of %s failed and is retried.", run.run_id, run.job_name)
        return
    report = notifier.send(
        Alert(
            kind="run_failed",
            title=f"{_name(run)} failed",
            body=_explain(context),
            severity=Severity.CRITICAL,
            source=f"run {run.run_id}",
            dedup_key=_dedup_key(run),
            occurred_at=_ended_at(context.instance, run),
            link=run_page(settings, run.run_id),
        )
    )
    context.log.info("Run %s of %s failed: the alert is %s.", run.run_id, run.job_name, report.fate.value)


@run_status_sensor(
    run_status=DagsterRunStatus.SUCCESS,
    name="recovered_runs_sensor",
    minimum_interval_seconds=15,
    default_status=DefaultSensorStatus.RUNNING,
    description="Says when a job that had failed has run through.",
)
def recovered_runs_sensor(
    context: RunStatusSensorContext, notifier: ResourceParam[OutboxNotifier], settings: ResourceParam[Settings]
) -> None:
    """One successful run."""
    run = context.dagster_run
    notifier.resolve(
        Alert(
            kind="run_recovered",
            title=f"{_name(run)} runs again",
            body=f"Run {run.run_id} succeeded.",
            severity=Severity.INFO,
            source=f"run {run.run_id}",
            dedup_key=_dedup_key(run),
            occurred_at=_ended_at(context.instance, run),
            link=run_page(settings, run.run_id),
        )
    )


@sensor(
    name="waiting_alerts_sensor",
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Delivers alerts that a channel could not take when they were sent.",
)
def waiting_alerts_sensor(context: SensorEvaluationContext, notifier: ResourceParam[OutboxNotifier]) -> SkipReason:
    """One round of deliveries."""
    return SkipReason(f"{notifier.deliver_waiting()} waiting deliveries succeeded.")


def run_page(settings: Settings, run_id: str) -> str:
    """Where a person reads about a run."""
    base = settings.alerts.dagster_url or f"http://{settings.dagster.host}:{settings.dagster.port}"
    return f"{base.rstrip('/')}/runs/{run_id}"


def _name(run: DagsterRun) -> str:
    days = _partition(run)
    return f"{run.job_name} for {days}" if days else run.job_name


def _dedup_key(run: DagsterRun) -> str:
    """Of the job and its partition: another day that runs well does not end the trouble of this one.

    Assets that were picked by hand run in a job without a name of its own: they are told apart by what was picked.
    """
    picked = ",".join(sorted(key.to_user_string() for key in run.asset_selection or ()))
    chosen = f"[{picked}]" if run.job_name.startswith("__") else ""
    return f"run/{run.job_name}{chosen}/{_partition(run)}"


def _partition(run: DagsterRun) -> str:
    if LANDED_FILES_TAG in run.tags:
        return ""  # its days are those of its data, others each time
    first, last = run.tags.get(ASSET_PARTITION_RANGE_START_TAG), run.tags.get(ASSET_PARTITION_RANGE_END_TAG)
    if first and last:
        return first if first == last else f"{first} to {last}"
    return run.tags.get(PARTITION_NAME_TAG, "")


def _ended_at(instance: DagsterInstance, run: DagsterRun) -> dt.datetime:
    """From the run's own record, so that every tick that sees this run makes the same alert."""
    record = instance.get_run_record_by_id(run.run_id)
    ended = record.end_time if record is not None else None
    return dt.datetime.fromtimestamp(ended or 0.0, dt.UTC)


def _explain(context: RunFailureSensorContext) -> str:
    """Which steps failed and why; without a failed step, what Dagster says of the run (its process was killed, say)."""
    steps = context.get_step_failure_events()
    if not steps:
        return context.failure_event.message or "The run ended without a word."
    said = []
    for event in steps[:_MOST_STEPS]:
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        said.append(f"{event.step_key}: {error.message.strip() if error is not None else event.message}")
    if len(steps) > _MOST_STEPS:
        said.append(f"… and {len(steps) - _MOST_STEPS} more steps.")
    return "\n".join(said)
