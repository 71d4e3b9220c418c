"""The platform's own lineage: whole, in line with Dagster and the API, and right for columns known by hand."""

from pathlib import Path

import pytest

from api.security.policy import POLICY
from platform_assets.contracts.access import Scope
from platform_assets.contracts.metrics import METRICS
from platform_assets.contracts.topics import PARTIALS, TOPICS
from platform_assets.contracts.windows import WINDOWS
from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.graph import AssetKind, Influence, LineageGraph, Place
from platform_assets.lineage.impact import Impact, impact_of
from platform_assets.lineage.names import resolve
from platform_assets.lineage.routes import DATA_ROUTES
from platform_assets.lineage.walk import Direction, walk

_SPECS = Path(__file__).parents[2] / "architecture" / "asset_specs.txt"
# Not on the way of any value: the same records in larger files, and what is written about the data.
_BESIDE = {"landing/compacted_files", "serving/lineage"}


def impact(graph: LineageGraph, name: str) -> Impact:
    return impact_of(graph, resolve(graph, name))


def upstream(graph: LineageGraph, name: str, *, conditions: bool = False) -> set[str]:
    start = resolve(graph, name)
    return {str(place) for place in walk(graph, start, Direction.UPSTREAM, conditions=conditions) if place != start}


def dagster_dependencies() -> dict[str, set[str]]:
    """The reviewed snapshot of Dagster's assets: what each is made from."""
    found: dict[str, set[str]] = {}
    name = ""
    for line in _SPECS.read_text().splitlines():
        if line and not line.startswith(" "):
            name = line
            found[name] = set()
        elif line.startswith("  from "):
            found[name].add(line.removeprefix("  from "))
    return found


def test_everything_could_be_followed(builder: GraphBuilder) -> None:
    """No statement of dbt's is beyond the reader, and every metric's mart is served."""
    assert builder.problems == []


def test_dagsters_dependencies_are_all_in_the_graph(graph: LineageGraph) -> None:
    """Asset by asset: what Dagster says an asset is made from leads to it here, directly or over finer assets."""
    wanted = {name: parents for name, parents in dagster_dependencies().items() if name not in _BESIDE}
    assert wanted.keys() - graph.assets.keys() == set()
    missing = {
        f"{parent} → {name}"
        for name, parents in wanted.items()
        for parent in parents - _BESIDE
        if Place(parent) not in walk(graph, Place(name), Direction.UPSTREAM)
    }
    assert missing == set()


def test_every_topic_window_and_metric_is_an_asset(graph: LineageGraph) -> None:
    """But for the windows' parts, which hold nothing that the windows do not."""
    topics = {asset.facts["topic"] for asset in graph.assets.values() if "topic" in asset.facts}
    assert topics == {topic.name for topic in TOPICS} - {PARTIALS.name}
    names = {asset.name for asset in graph.assets.values()}
    assert {f"windows/{window.name}" for window in WINDOWS} <= names
    assert {f"metrics/{name}" for name in METRICS} <= names


def test_routes_are_those_of_the_policy_that_carry_data() -> None:
    scopes = {Scope.EVENTS_WRITE, Scope.PREDICTIONS_READ, Scope.METRICS_READ}
    carrying = {f"{method} {path}" for (method, path), access in POLICY.items() if access in scopes}
    catalogue = {"GET /v1/metrics"}
    assert {route for one in DATA_ROUTES for route in one.routes} == carrying - catalogue


def test_impact_of_a_payload_field_names_every_kind_of_thing(graph: LineageGraph) -> None:
    """The issue's question: windows, columns, features, model versions, routes and metrics."""
    found = impact(graph, "events.payload.sales_value").columns(influence=Influence.DIRECT)
    assert found["windows/user_activity_1m"] == ["sales"]
    assert sorted(found["windows/store_sales_1h"]) == ["sales", "sales_p50"]
    assert found["marts/fct_orders"] == ["sales_value"]
    assert sorted(found["features/customer_activity"]) == [
        "discount_share_84d", "private_brand_share_84d", "sales_28d", "sales_7d", "sales_84d", "sales_per_order_84d",
        "sales_recent_share",
    ]  # fmt: skip
    assert sorted(found["features/customer_live"]) == ["sales_1m", "session_sales"]
    assert found["models/churn"] == found["models/churn/3"] == [""]
    assert "probability" in found["serving/predict_churn"]
    assert "probability" in found["routes/newest_prediction"]
    assert found["metrics/sales"] == found["metrics/average_order_value"] == ["value"]
    assert found["routes/metrics"] == [""]
    # What is sent decides what is refused; that is no part of these.
    assert "metrics/rejections" not in found
    assert "value" in impact(graph, "events.payload.sales_value").columns()["metrics/rejections"]


def test_version_of_an_older_feature_set_has_only_the_features_that_it_learned(graph: LineageGraph) -> None:
    """Version 2 knew orders_84d and one that is gone: a change of spend does not reach it."""
    assert "models/churn/2" not in impact(graph, "features/customer_activity.sales_84d").columns()
    assert "models/churn/2" in impact(graph, "features/customer_activity.orders_84d").columns()
    served = impact(graph, "models/churn/2").columns()
    assert "serving/predict_churn" not in served
    assert "serving/predict_churn" in impact(graph, "models/churn/3").columns()


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("fct_orders.units", {"raw/events.payload.quantity", "log/events.payload.quantity"}),
        ("fct_orders.household_id", {"raw/events.user_id", "routes/ingest_events.user_id"}),
        ("fct_order_lines.brand", {"raw/products.brand", "sources/complete_journey.products.brand"}),
        ("fct_order_lines.is_giveaway", {"raw/events.payload.quantity", "raw/events.payload.sales_value"}),
        ("fct_window_results.units", {"raw/window_results.aggregates.units", "windows/user_session_30m.units",
                                      "log/events.payload.quantity"}),
        ("dim_households.age", {"raw/demographics.age"}),
        ("metrics/discount_share.value", {"raw/events.payload.sales_value", "raw/events.payload.retail_disc",
                                          "raw/events.payload.coupon_match_disc"}),
        ("metrics/orders.value", {"raw/events.*"}),
        ("customer_live.session_units", {"windows/user_session_30m.units", "log/events.payload.quantity"}),
    ],
)  # fmt: skip
def test_column_is_made_of_what_a_person_reads_in_its_models(graph: LineageGraph, name: str, wanted: set[str]) -> None:
    """Directly, and of no other field of the payload."""
    found = upstream(graph, name)
    assert wanted <= found
    fields = {place for place in found if place.startswith("raw/events.payload.")}
    assert fields == {place for place in wanted if place.startswith("raw/events.payload.")} or name in {
        "fct_window_results.units", "customer_live.session_units",
    }  # fmt: skip


def test_what_decides_a_column_is_told_apart_from_what_it_is_made_of(graph: LineageGraph) -> None:
    assert "raw/products.product_id" not in upstream(graph, "fct_order_lines.brand")
    assert "raw/products.product_id" in upstream(graph, "fct_order_lines.brand", conditions=True)
    assert "raw/events.event_name" in upstream(graph, "fct_orders.units", conditions=True)


def test_snapshot_of_a_dimension_is_followed_and_its_history_is_decided_by_what_is_compared(
    graph: LineageGraph,
) -> None:
    assert "raw/products.department" in upstream(graph, "snap_shop__products.department")
    assert "raw/products.department" in upstream(graph, "snap_shop__products.dbt_valid_from", conditions=True)


def test_windows_are_decided_by_key_time_and_the_events_that_they_take(graph: LineageGraph) -> None:
    assert "log/events.payload.store_id" in upstream(graph, "windows/store_sales_1h.key")
    decided = upstream(graph, "windows/user_session_30m.sales", conditions=True)
    assert {"log/events.user_id", "log/events.occurred_at", "log/events.event_name"} <= decided
    assert "log/events.event_name" not in upstream(graph, "windows/user_activity_1m.sales", conditions=True)


def test_kinds_of_impact_come_in_the_order_in_which_a_change_reaches_them(graph: LineageGraph) -> None:
    kinds = list(dict.fromkeys(one.kind for one in impact(graph, "events.payload.sales_value").affected))
    assert kinds[0] is AssetKind.TOPIC
    assert kinds[-1] is AssetKind.ROUTE
    assert {AssetKind.WINDOW, AssetKind.FEATURES, AssetKind.MODEL_VERSION, AssetKind.METRIC} <= set(kinds)
