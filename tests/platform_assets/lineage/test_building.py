"""Fields inside JSON columns are followed to where they come from; what cannot be read is taken as a whole."""

from typing import Any

import pytest

from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.dbt_models import NotCompiled, add_dbt_models
from platform_assets.lineage.graph import LineageGraph, Place
from platform_assets.lineage.names import resolve
from platform_assets.lineage.stream import add_stream, payload_fields
from platform_assets.lineage.walk import Direction, walk

ROUTE, LOG, RAW = "routes/ingest_events", "log/events", "raw/events"


def stream() -> GraphBuilder:
    builder = GraphBuilder()
    add_stream(builder, payload_fields({"page_viewed": {"properties": {"path": {"type": "string"}}}}))
    return builder


def node(name: str, sql: str | None, *parents: str, **config: Any) -> dict[str, Any]:
    """A node of dbt's manifest, as far as it is read."""
    kind = config.pop("resource_type", "model")
    return {
        "unique_id": f"{kind}.p.{name}", "resource_type": kind, "name": name, "alias": name, "schema": "marts",
        "columns": {}, "config": {"schema": "marts", "materialized": "table"} | config, "compiled_code": sql,
        "depends_on": {"nodes": list(parents)},
    }  # fmt: skip


def manifest(*nodes: dict[str, Any]) -> dict[str, Any]:
    columns = {name: {"name": name, "data_type": "VARCHAR"} for name in ("event_id", "event_name", "payload")}
    raw = {
        "unique_id": "source.p.raw.events", "resource_type": "source", "source_name": "raw", "name": "events",
        "identifier": "events", "schema": "raw", "columns": columns, "config": {},
    }  # fmt: skip
    return {"sources": {raw["unique_id"]: raw}, "nodes": {one["unique_id"]: one for one in nodes}}


def upstream(graph: LineageGraph, name: str, *, conditions: bool = False) -> set[str]:
    return {str(place) for place in walk(graph, resolve(graph, name), Direction.UPSTREAM, conditions=conditions)}


def test_fields_of_registered_schemas_are_columns_beside_those_of_the_contracts() -> None:
    fields = {
        field.name: field for field in payload_fields({"page_viewed": {"properties": {"path": {"type": "string"}}}})
    }
    assert fields["path"].description == "Field of page_viewed."
    assert fields["sales_value"].type == "number"
    graph = stream().graph
    assert graph.has(Place(RAW, "payload.path"))
    assert f"{ROUTE}.payload.path" in upstream(graph, f"{RAW}.payload.path")


def test_field_that_no_contract_knows_is_followed_to_the_route_and_is_part_of_the_payload() -> None:
    """Through every asset that passes the payload on; other fields stay apart from it."""
    builder = stream()
    sql = "select payload ->> '$.colour' as colour, payload as body from raw.events"
    add_dbt_models(builder, manifest(node("paints", sql, "source.p.raw.events")))
    assert builder.problems == []
    found = upstream(builder.graph, "marts/paints.colour")
    assert {
        f"{RAW}.payload.colour",
        "landing/events.payload.colour",
        f"{LOG}.payload.colour",
        f"{ROUTE}.payload.colour",
    } <= found
    assert f"{LOG}.payload.sales_value" not in found
    whole = upstream(builder.graph, "marts/paints.body")
    assert {f"{LOG}.payload.colour", f"{LOG}.payload.sales_value"} <= whole


def test_model_that_cannot_be_read_is_a_problem_and_is_taken_as_a_whole() -> None:
    """More than is true is said of it, and nothing is missed."""
    builder = stream()
    broken = node("broken", "this is no sql (", "source.p.raw.events")
    broken["columns"] = {"x": {"name": "x"}}
    add_dbt_models(builder, manifest(broken))
    assert len(builder.problems) == 1
    assert builder.problems[0].startswith("marts/broken: The statement cannot be read")
    found = walk(builder.graph, Place(RAW, "payload.quantity"), Direction.DOWNSTREAM)
    assert Place("marts/broken", "x") in found


def test_snapshot_has_its_history_and_ephemeral_models_are_read_through() -> None:
    builder = stream()
    first = node(
        "hidden", "select event_id, event_name from raw.events", "source.p.raw.events", materialized="ephemeral"
    )
    snapshot = node(
        "snap", "with h as (select event_id, event_name from raw.events) select * from h", "model.p.hidden",
        resource_type="snapshot", strategy="check", check_cols=["event_name"], unique_key="event_id",
    )  # fmt: skip
    add_dbt_models(builder, manifest(first, snapshot))
    graph = builder.graph
    assert "marts/hidden" not in graph.assets
    assert [column.name for column in graph.assets["marts/snap"].columns] == [
        "event_id", "event_name", "dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to",
    ]  # fmt: skip
    assert f"{RAW}.event_name" in upstream(graph, "marts/snap.dbt_valid_from", conditions=True)
    assert f"{RAW}.event_name" not in upstream(graph, "marts/snap.event_id")


def test_manifest_of_a_parse_is_refused() -> None:
    with pytest.raises(NotCompiled, match="not of `dbt compile`"):
        add_dbt_models(stream(), manifest(node("parsed", None, "source.p.raw.events")))
