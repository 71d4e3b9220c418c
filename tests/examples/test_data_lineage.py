"""The specification's example of lineage tracking, run as it stands against the platform's published lineage.

Only the import path is changed.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from platform_assets.lineage.graph import CycleRefused, LineageError
from platform_assets.lineage.names import UnknownName
from platform_assets.sdk import DataLineageTracker
from resources.lineage.store import LineageStore, NoLineage
from resources.settings import load_settings
from tests.open_lineage_events import faults


@pytest.fixture(autouse=True)
def data_dir(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The class is used with its default, which comes from the settings."""
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path))
    return tmp_path


async def run_the_example() -> dict[str, Any]:
    made: dict[str, Any] = {}

    # Track data transformations
    lineage_tracker = DataLineageTracker()

    async def track_transformation() -> None:
        # Register source dataset
        source = await lineage_tracker.create_asset(
            name="raw_user_events",
            asset_type="dataset",
            location="s3://raw-data/events/",
            schema={"user_id": "string", "event_type": "string", "timestamp": "datetime"},
        )

        # Register transformation
        transformation = await lineage_tracker.create_transformation(
            name="user_session_aggregation",
            description="Aggregate user events into sessions",
            code="SELECT user_id, COUNT(*) as events FROM raw_user_events GROUP BY user_id",
        )

        # Register output dataset
        target = await lineage_tracker.create_asset(
            name="user_sessions", asset_type="dataset", location="s3://processed-data/sessions/"
        )

        # Create lineage edge
        await lineage_tracker.create_lineage_edge(
            source_asset=source, target_asset=target, transformation=transformation
        )
        made.update(source=source, target=target, transformation=transformation)

    await track_transformation()
    return made


async def test_example_of_the_specification_runs_and_its_sql_is_read_by_column() -> None:
    """The target has the statement's columns, and each says what it is made of."""
    await run_the_example()
    tracker = DataLineageTracker()
    assert await tracker.get_upstream("user_sessions") == ["raw_user_events"]
    assert await tracker.get_downstream("raw_user_events", "user_id") == [
        "user_sessions.user_id", "user_sessions.*", "user_sessions.events",
    ]  # fmt: skip
    assert await tracker.get_upstream("user_sessions", "events") == [
        "user_sessions.*", "raw_user_events.*", "raw_user_events.user_id",
    ]  # fmt: skip
    graph = LineageStore(load_settings().lineage_dir).read()[1].graph
    source = graph.assets["raw_user_events"]
    assert source.facts == {"location": "s3://raw-data/events/"}
    assert [(column.name, column.type) for column in source.columns] == [
        ("user_id", "string"), ("event_type", "string"), ("timestamp", "datetime"),
    ]  # fmt: skip


async def test_example_may_run_again_and_nothing_changes() -> None:
    await run_the_example()
    store = LineageStore(load_settings().lineage_dir)
    before = store.pointer()
    await run_the_example()
    assert store.pointer() == before


async def test_circle_is_refused_and_leaves_no_trace() -> None:
    made = await run_the_example()
    tracker = DataLineageTracker()
    with pytest.raises(CycleRefused, match="raw_user_events → user_sessions → raw_user_events"):
        await tracker.create_lineage_edge(made["target"], made["source"])
    assert await tracker.get_upstream("raw_user_events") == []


async def test_transformation_without_sql_over_the_source_makes_an_edge_between_whole_assets() -> None:
    """Python, prose, or a statement that calls the source something else."""
    made = await run_the_example()
    tracker = DataLineageTracker()
    report = await tracker.create_asset("weekly_report", "dataset")
    for code in (None, "def report(sessions): ...", "SELECT 1 FROM somewhere_else"):
        work = await tracker.create_transformation("reporting", code=code)
        edges = await tracker.create_lineage_edge(made["target"], report, work)
        assert [(edge.source_column, edge.target_column) for edge in edges] == [(None, None)]
    assert await tracker.get_downstream("user_sessions", "events") == ["weekly_report"]


async def test_many_trackers_at_once_lose_nothing() -> None:
    await run_the_example()
    tracker = DataLineageTracker()
    source = await tracker.create_asset("raw_user_events")

    async def derive(number: int) -> None:
        target = await DataLineageTracker().create_asset(f"derived_{number}")
        await DataLineageTracker().create_lineage_edge(source, target)

    await asyncio.gather(*(derive(number) for number in range(6)))
    assert {f"derived_{number}" for number in range(6)} <= set(await tracker.get_downstream("raw_user_events"))


async def test_export_is_openlineage_with_schema_column_lineage_and_sql() -> None:
    await run_the_example()
    [event] = await DataLineageTracker().export_openlineage()
    assert faults(event) == []
    assert event["schemaURL"].endswith("#/$defs/JobEvent")
    assert event["job"]["name"] == "user_sessions"
    assert event["job"]["facets"]["sql"]["query"].startswith("SELECT user_id")
    assert [one["name"] for one in event["inputs"]] == ["raw_user_events"]
    assert [one["name"] for one in event["inputs"][0]["facets"]["schema"]["fields"]] == [
        "user_id", "event_type", "timestamp",
    ]  # fmt: skip
    lineage = event["outputs"][0]["facets"]["columnLineage"]
    assert [one["field"] for one in lineage["fields"]["user_id"]["inputFields"]] == ["user_id"]
    assert [(one["field"], one["transformations"][0]["type"]) for one in lineage["dataset"]] == [
        ("user_id", "INDIRECT")
    ]


async def test_mistakes_are_named_with_their_remedy() -> None:
    """An unknown type, a name that is something else, an asset that nobody created, nothing recorded yet."""
    tracker = DataLineageTracker()
    with pytest.raises(NoLineage):
        await tracker.get_upstream("anything")
    with pytest.raises(ValueError, match="choose one of route, topic"):
        await tracker.create_asset("x", "spreadsheet")
    asset = await tracker.create_asset("x", "table")
    with pytest.raises(LineageError, match="x is a table, and not a dataset"):
        await tracker.create_asset("x", "dataset")
    elsewhere = await DataLineageTracker(LineageStore(load_settings().root / "other")).create_asset("y")
    with pytest.raises(LineageError, match="There is no asset y"):
        await tracker.create_lineage_edge(asset, elsewhere)
    with pytest.raises(UnknownName, match="There is no asset z"):
        await tracker.get_downstream("z")
