"""Tells another catalogue what ran and what it made, as OpenLineage events.

They are read off Dagster's log beside the runs: nothing here is part of a run, and a catalogue that is slow or gone
costs the tick that sees it. An event that could not be sent is lost, and the tick says so.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dagster import (
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    EventLogEntry,
    ResourceParam,
    RunStatusSensorContext,
    SensorDefinition,
    run_status_sensor,
)

from platform_assets.lineage.graph import LineageGraph
from resources.lineage.store import LineageReader, NoLineage
from resources.settings import Settings

if TYPE_CHECKING:
    from platform_assets.lineage.open_lineage import MadeAsset, ObservedRun

_LOGGED = {
    DagsterEventType.STEP_START,
    DagsterEventType.STEP_FAILURE,
    DagsterEventType.ASSET_MATERIALIZATION,
    DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
}
_ROWS, _BYTES = "dagster/row_count", "bytes"


def observed_run(instance: DagsterInstance, run: DagsterRun, status: DagsterRunStatus) -> "ObservedRun":
    """A run as it came to a status. Its assets are told of at its end, each once, also where it made many days of one.

    Of a failure only the steps are named: what an error says may be nobody else's business.
    """
    from platform_assets.lineage.open_lineage import ObservedRun, Outcome

    outcomes = {
        DagsterRunStatus.SUCCESS: Outcome.SUCCEEDED,
        DagsterRunStatus.FAILURE: Outcome.FAILED,
        DagsterRunStatus.CANCELED: Outcome.CANCELED,
    }
    outcome = outcomes.get(status, Outcome.STARTED)
    record = instance.get_run_record_by_id(run.run_id)
    started = record.start_time if record is not None else None
    ended = record.end_time if record is not None else None
    log = [] if outcome is Outcome.STARTED else list(instance.all_logs(run.run_id, of_type=_LOGGED))
    failed = [entry.step_key for entry in log if entry.get_dagster_event().event_type is DagsterEventType.STEP_FAILURE]
    error = f"Failed in {', '.join(map(str, failed)) or 'no step'}; run {run.run_id} of Dagster says why."
    return ObservedRun(
        job=run.job_name,
        run_id=run.run_id,
        outcome=outcome,
        at=_time((started if outcome is Outcome.STARTED else ended) or 0.0),
        error=error if outcome is Outcome.FAILED else None,
        assets=list(_made(log)),
    )


def _made(log: "list[EventLogEntry]") -> "Iterator[MadeAsset]":
    from platform_assets.lineage.open_lineage import MadeAsset

    started: dict[str | None, float] = {}
    failed: dict[str | None, float] = {}
    planned: dict[str, str | None] = {}
    made: dict[str, list[EventLogEntry]] = {}
    for entry in log:
        event = entry.get_dagster_event()
        if event.event_type is DagsterEventType.STEP_START:
            started[entry.step_key] = entry.timestamp
        elif event.event_type is DagsterEventType.STEP_FAILURE:
            failed[entry.step_key] = entry.timestamp
        elif event.asset_key is not None and event.event_type is DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
            planned[event.asset_key.to_user_string()] = entry.step_key
        elif event.asset_key is not None:
            made.setdefault(event.asset_key.to_user_string(), []).append(entry)
    for name, entries in made.items():
        last = entries[-1]
        metadata = _numbers(last) if len(entries) == 1 else {}
        yield MadeAsset(
            name=name,
            started_at=_time(started.get(last.step_key, entries[0].timestamp)),
            at=_time(last.timestamp),
            partition=_partitions(entries),
            row_count=metadata.get(_ROWS),
            byte_count=metadata.get(_BYTES),
        )
    for name, step in planned.items():
        if name not in made and step in failed:
            at = _time(failed[step])
            yield MadeAsset(name=name, started_at=_time(started.get(step, failed[step])), at=at, failed=True)


def _numbers(entry: EventLogEntry) -> Mapping[str, int]:
    materialization = entry.asset_materialization
    found: Mapping[str, Any] = materialization.metadata if materialization is not None else {}
    values = {name: getattr(found.get(name), "value", None) for name in (_ROWS, _BYTES)}
    return {name: value for name, value in values.items() if isinstance(value, int)}


def _partitions(entries: list[EventLogEntry]) -> str | None:
    days = [event.partition for entry in entries if (event := entry.get_dagster_event()).partition is not None]
    if not days:
        return None
    return days[0] if len(days) == 1 else f"{min(days)} to {max(days)}"


def _time(seconds: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _tell(context: RunStatusSensorContext, settings: Settings, status: DagsterRunStatus) -> None:
    from platform_assets.lineage.open_lineage import run_events
    from resources.lineage.emission import LineageEmitter

    try:
        graph = LineageReader(settings.lineage_dir).current()[1]
    except NoLineage:
        context.log.info("No lineage has been published yet: the events are without columns.")
        graph = LineageGraph()
    run = observed_run(context.instance, context.dagster_run, status)
    sent = LineageEmitter(settings).send(run_events(graph, run, namespace=settings.lineage.namespace))
    context.log.info("%d lineage events of run %s of %s were sent.", sent, run.run_id, run.job)


def _sensor(status: DagsterRunStatus, name: str) -> SensorDefinition:
    @run_status_sensor(
        run_status=status,
        name=name,
        minimum_interval_seconds=15,
        default_status=DefaultSensorStatus.RUNNING,
        description="Sends lineage events of the runs to the catalogue that ANALYTICS_LINEAGE__EVENTS names.",
    )
    def tell(context: RunStatusSensorContext, settings: ResourceParam[Settings]) -> None:
        # By now the run may have gone further.
        _tell(context, settings, status)

    return tell


LINEAGE_EVENT_SENSORS = (
    _sensor(DagsterRunStatus.STARTED, "lineage_of_started_runs_sensor"),
    _sensor(DagsterRunStatus.SUCCESS, "lineage_of_finished_runs_sensor"),
    _sensor(DagsterRunStatus.FAILURE, "lineage_of_failed_runs_sensor"),
    _sensor(DagsterRunStatus.CANCELED, "lineage_of_canceled_runs_sensor"),
)
"""Only for a deployment whose settings name a catalogue: see `platform_assets.definitions`."""
