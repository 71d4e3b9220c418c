"""The graph and what ran, in the terms of OpenLineage, by its own client's classes.

An asset is a data set of the platform's namespace under its name; what makes it is a job of that name. A run of Dagster
is a run of its job, and the parent of one run for each asset that it made.
"""

import datetime as dt
import enum
import importlib.metadata
import json
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from openlineage.client.event_v2 import InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    JobFacet,
    OutputDatasetFacet,
    RunFacet,
    column_lineage_dataset,
    documentation_dataset,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    schema_dataset,
    set_producer,
    sql_job,
)
from openlineage.client.serde import Serde

from platform_assets.lineage.graph import ROWS, Asset, Edge, Influence, LineageGraph, Place, is_rows

NAMESPACE = "analytics"
PRODUCER = f"urn:analytics-platform:{importlib.metadata.version('analytics-platform')}"
_MOST_ERROR_CHARS = 4_000

# What the client stamps on each facet.
set_producer(PRODUCER)


class Outcome(enum.StrEnum):
    """How a run ended, or that it has only begun."""

    STARTED = "START"
    SUCCEEDED = "COMPLETE"
    FAILED = "FAIL"
    CANCELED = "ABORT"


@dataclass(frozen=True, kw_only=True)
class MadeAsset:
    """An asset that a run made, or failed to make: then `at` is when it failed. Sizes in bytes."""

    name: str
    started_at: dt.datetime
    at: dt.datetime
    partition: str | None = None
    row_count: int | None = None
    byte_count: int | None = None
    failed: bool = False


@dataclass(frozen=True, kw_only=True)
class ObservedRun:
    """A run of Dagster's. `run_id` is a UUID; times are aware."""

    job: str
    run_id: str
    outcome: Outcome
    at: dt.datetime
    error: str | None = None
    assets: Sequence[MadeAsset] = ()


def job_event(
    graph: LineageGraph, asset: str, statement: str | None, at: dt.datetime, *, namespace: str = NAMESPACE
) -> JobEvent:
    """How an asset is made, without a run: its sources, its schema and its column lineage."""
    facets: dict[str, JobFacet] = {"jobType": _job_type("JOB")}
    if statement is not None:
        facets["sql"] = sql_job.SQLJobFacet(query=statement)
    return JobEvent(
        eventTime=at.isoformat(),
        producer=PRODUCER,
        job=Job(namespace=namespace, name=asset, facets=facets),
        inputs=_inputs(graph, asset, namespace),
        outputs=[_output(graph, asset, namespace, {})],
    )


def run_events(graph: LineageGraph, run: ObservedRun, *, namespace: str = NAMESPACE) -> Iterator[RunEvent]:
    """A run's own event and, once it has ended, the beginning and end of each asset that it made.

    An asset that the graph does not know is a data set without columns.
    """
    for asset in run.assets:
        yield from _asset_events(graph, run, asset, namespace)
    facets: dict[str, RunFacet] = {}
    if run.error is not None:
        facets["errorMessage"] = _error(run.error)
    yield RunEvent(
        eventType=RunState(run.outcome.value),
        eventTime=run.at.isoformat(),
        producer=PRODUCER,
        run=Run(runId=run.run_id, facets=facets),
        job=Job(namespace=namespace, name=run.job, facets={"jobType": _job_type("JOB")}),
        inputs=[],
        outputs=[],
    )


def as_json(event: RunEvent | JobEvent) -> dict[str, Any]:
    """An event as it travels."""
    made: dict[str, Any] = json.loads(Serde.to_json(event))
    return made


def _asset_events(graph: LineageGraph, run: ObservedRun, asset: MadeAsset, namespace: str) -> Iterator[RunEvent]:
    # The same for a second look at the same run.
    run_id = str(uuid.uuid5(uuid.UUID(run.run_id), f"{asset.name}|{asset.partition or ''}"))
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=run.run_id), job=parent_run.Job(namespace=namespace, name=run.job)
    )
    ended = RunState.FAIL if asset.failed else RunState.COMPLETE
    statistics: dict[str, OutputDatasetFacet] = {}
    if asset.row_count is not None or asset.byte_count is not None:
        statistics["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=asset.row_count, size=asset.byte_count
        )
    for state, at in ((RunState.START, asset.started_at), (ended, asset.at)):
        facets: dict[str, RunFacet] = {"parent": parent}
        if state is RunState.FAIL and run.error is not None:
            facets["errorMessage"] = _error(run.error)
        yield RunEvent(
            eventType=state,
            eventTime=at.isoformat(),
            producer=PRODUCER,
            run=Run(runId=run_id, facets=facets),
            job=Job(namespace=namespace, name=asset.name, facets={"jobType": _job_type("TASK")}),
            inputs=_inputs(graph, asset.name, namespace),
            outputs=[_output(graph, asset.name, namespace, statistics if state is RunState.COMPLETE else {})],
        )


def _job_type(kind: str) -> job_type_job.JobTypeJobFacet:
    return job_type_job.JobTypeJobFacet(processingType="BATCH", integration="DAGSTER", jobType=kind)


def _error(message: str) -> error_message_run.ErrorMessageRunFacet:
    return error_message_run.ErrorMessageRunFacet(message=message[:_MOST_ERROR_CHARS], programmingLanguage="python")


def _inputs(graph: LineageGraph, asset: str, namespace: str) -> list[InputDataset]:
    return [
        InputDataset(namespace=namespace, name=name, facets=_facets(graph.assets[name]))
        for name in sorted(graph.assets_before(asset))
    ]


def _output(
    graph: LineageGraph, asset: str, namespace: str, statistics: dict[str, OutputDatasetFacet]
) -> OutputDataset:
    known = graph.assets.get(asset)
    facets = _facets(known) if known is not None else {}
    if known is not None and (lineage := _column_lineage(graph, known, namespace)) is not None:
        facets["columnLineage"] = lineage
    return OutputDataset(namespace=namespace, name=asset, facets=facets, outputFacets=statistics)


def _facets(asset: Asset) -> dict[str, DatasetFacet]:
    facets: dict[str, DatasetFacet] = {}
    if asset.description:
        facets["documentation"] = documentation_dataset.DocumentationDatasetFacet(description=asset.description)
    if asset.columns:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[
                schema_dataset.SchemaDatasetFacetFields(
                    name=column.name, type=column.type or None, description=column.description or None
                )
                for column in asset.columns
            ]
        )
    return facets


def _column_lineage(
    graph: LineageGraph, asset: Asset, namespace: str
) -> column_lineage_dataset.ColumnLineageDatasetFacet | None:
    fields: dict[str, column_lineage_dataset.Fields] = {}
    whole: list[column_lineage_dataset.InputField] = []
    for edge in sorted(_edges_into(graph, asset), key=lambda edge: (str(edge.end), str(edge.start))):
        source = column_lineage_dataset.InputField(
            namespace=namespace,
            name=edge.source,
            field=str(edge.source_column),
            transformations=[_transformation(edge)],
        )
        if edge.target_column == ROWS:
            whole.append(source)
        else:
            fields.setdefault(str(edge.target_column), column_lineage_dataset.Fields(inputFields=[]))
            fields[str(edge.target_column)].inputFields.append(source)
    if not fields and not whole:
        return None
    return column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields, dataset=whole)


def _edges_into(graph: LineageGraph, asset: Asset) -> Iterator[Edge]:
    """Between fields only: OpenLineage has no word for rows as a source, or for an asset as a whole."""
    for column in (*(column.name for column in asset.columns), ROWS):
        for edge in graph.before(Place(asset.name, column)):
            if edge.source != asset.name and edge.source_column is not None and not is_rows(edge.source_column):
                yield edge


def _transformation(edge: Edge) -> column_lineage_dataset.Transformation:
    kind = "DIRECT" if edge.influence is Influence.DIRECT and edge.target_column != ROWS else "INDIRECT"
    return column_lineage_dataset.Transformation(type=kind, description=edge.found_in)
