"""The graph takes what it knows already, refuses circles, and is walked by whole assets or by columns."""

import pytest

from platform_assets.lineage.document import digest, document_of, read_document
from platform_assets.lineage.graph import (
    ROWS,
    Asset,
    AssetKind,
    Column,
    CycleRefused,
    Edge,
    Influence,
    LineageError,
    LineageGraph,
    Place,
)
from platform_assets.lineage.names import UnknownName, resolve
from platform_assets.lineage.walk import Direction, walk, way_to


def asset(name: str, *columns: str, kind: AssetKind = AssetKind.TABLE, aliases: tuple[str, ...] = ()) -> Asset:
    return Asset(name=name, kind=kind, columns=tuple(Column(column) for column in columns), aliases=aliases)


def edge(source: str, target: str, influence: Influence = Influence.DIRECT) -> Edge:
    """From `asset.column` to `asset.column`; no column is the asset as a whole."""
    (one, _, start), (other, _, end) = source.partition("."), target.partition(".")
    return Edge(
        source=one, source_column=start or None, target=other, target_column=end or None, influence=influence,
        found_in="a test",
    )  # fmt: skip


@pytest.fixture
def graph() -> LineageGraph:
    """raw(id, amount, kind) → orders(id, total; rows by kind) → scores(score) → model → route."""
    return LineageGraph(
        [
            asset("raw", "id", "amount", "kind"),
            asset("orders", "id", "total"),
            asset("scores", "score", kind=AssetKind.FEATURES),
            asset("model", kind=AssetKind.MODEL),
            asset("route", "answer", kind=AssetKind.ROUTE),
        ],
        [
            edge("raw.id", "orders.id"),
            edge("raw.amount", "orders.total"),
            edge("raw.kind", "orders.*", Influence.CONDITION),
            edge("raw.*", "orders.*"),
            edge("orders.total", "scores.score"),
            edge("scores.score", "model"),
            edge("model", "route.answer"),
        ],
    )


def reached(graph: LineageGraph, name: str, direction: Direction, **options: bool | int) -> dict[str, Influence]:
    found = walk(graph, resolve(graph, name), direction, **options)  # type: ignore[arg-type]
    return {str(place): one.influence for place, one in found.items()}


def test_column_is_followed_to_columns_and_whole_assets(graph: LineageGraph) -> None:
    assert reached(graph, "raw.amount", Direction.DOWNSTREAM) == dict.fromkeys(
        ["raw.amount", "orders.total", "scores.score", "model", "route.answer"], Influence.DIRECT
    )
    assert set(reached(graph, "route.answer", Direction.UPSTREAM, conditions=False)) == {
        "route.answer", "model", "scores.score", "orders.total", "raw.amount",
    }  # fmt: skip


def test_what_decides_the_rows_bears_on_every_column_as_a_condition(graph: LineageGraph) -> None:
    found = reached(graph, "raw.kind", Direction.DOWNSTREAM)
    assert found.pop("raw.kind") is Influence.DIRECT
    assert found == dict.fromkeys(
        ["orders.*", "orders.id", "orders.total", "scores.score", "model", "route.answer"], Influence.CONDITION
    )
    assert set(reached(graph, "raw.kind", Direction.DOWNSTREAM, conditions=False)) == {"raw.kind"}
    assert reached(graph, "orders.total", Direction.UPSTREAM)["raw.kind"] is Influence.CONDITION


def test_asset_is_followed_by_whole_assets_and_depth_counts_them(graph: LineageGraph) -> None:
    assert list(reached(graph, "raw", Direction.DOWNSTREAM)) == ["raw", "orders", "scores", "model", "route"]
    assert list(reached(graph, "raw", Direction.DOWNSTREAM, depth=2)) == ["raw", "orders", "scores"]
    assert set(reached(graph, "raw.kind", Direction.DOWNSTREAM, depth=1)) == {
        "raw.kind", "orders.*", "orders.id", "orders.total",
    }  # fmt: skip


def test_way_names_each_step_and_where_it_stands(graph: LineageGraph) -> None:
    found = walk(graph, Place("raw", "amount"), Direction.DOWNSTREAM)
    way = way_to(found, Place("model"))
    assert [str(step.place) for step in way] == ["raw.amount", "orders.total", "scores.score", "model"]
    assert [step.edge.found_in for step in way if step.edge is not None] == ["a test"] * 3


def test_adding_again_changes_nothing_and_a_direct_edge_replaces_a_condition(graph: LineageGraph) -> None:
    before = document_of(graph)
    for one in list(graph.assets.values()):
        graph.add_asset(one)
    for known in graph.edges:
        graph.add_edge(known)
    graph.add_edge(edge("raw.amount", "orders.total", Influence.CONDITION))
    assert document_of(graph) == before
    graph.add_edge(edge("raw.kind", "orders.*"))
    assert len(graph.edges) == 7
    assert reached(graph, "raw.kind", Direction.DOWNSTREAM, conditions=False) == {
        "raw.kind": Influence.DIRECT,
        "orders.*": Influence.DIRECT,
    }


def test_asset_gains_columns_and_keeps_what_is_known_of_it(graph: LineageGraph) -> None:
    graph.add_asset(Asset(name="raw", kind=AssetKind.TABLE, columns=(Column("id", "varchar"), Column("new"))))
    graph.add_asset(Asset(name="raw", kind=AssetKind.TABLE, description="Raw.", columns=(Column("id"),)))
    known = graph.assets["raw"]
    assert known.description == "Raw."
    assert known.columns == (Column("id", "varchar"), Column("amount"), Column("kind"), Column("new"))
    with pytest.raises(LineageError, match="raw is a table, and not a topic"):
        graph.add_asset(asset("raw", kind=AssetKind.TOPIC))


def test_circle_is_refused_and_its_path_is_named(graph: LineageGraph) -> None:
    """Between assets, also over other columns, and between the columns of one."""
    with pytest.raises(CycleRefused, match="raw → orders → scores → raw") as refused:
        graph.add_edge(edge("scores.score", "raw.id"))
    assert refused.value.path == ["raw", "orders", "scores"]
    graph.add_edge(edge("raw.id", "raw.kind"))
    with pytest.raises(CycleRefused, match=r"raw\.id → raw\.kind → raw\.id"):
        graph.add_edge(edge("raw.kind", "raw.id"))
    with pytest.raises(CycleRefused, match="raw → raw"):
        graph.add_edge(edge("raw", "raw"))
    assert len(graph.edges) == 8


def test_edge_between_what_nobody_added_is_refused(graph: LineageGraph) -> None:
    with pytest.raises(LineageError, match="There is no asset nothing"):
        graph.add_edge(edge("nothing.x", "raw.id"))
    with pytest.raises(LineageError, match="raw has no column x"):
        graph.add_edge(edge("raw.x", "orders.id"))


def test_names_are_found_with_dots_slashes_and_aliases() -> None:
    graph = LineageGraph(
        [
            asset("log/events", "payload", "payload.amount", kind=AssetKind.TOPIC, aliases=("events", "events.v1")),
            asset("marts/orders", "total", aliases=("orders",)),
            asset("staging/other", aliases=("shared",)),
            asset("raw/other", aliases=("shared",)),
        ]
    )
    wanted = Place("log/events", "payload.amount")
    for name in (
        "events.payload.amount",
        "events.v1.payload.amount",
        "log/events.payload.amount",
        "log.events.payload.amount",
    ):
        assert resolve(graph, name) == wanted
    assert resolve(graph, "marts.orders") == resolve(graph, "orders") == Place("marts/orders")
    assert resolve(graph, "orders.*") == Place("marts/orders", ROWS)
    with pytest.raises(UnknownName, match="Near are: payload") as unknown:
        resolve(graph, "events.payload.amounts")
    assert "payload.amount" in unknown.value.near
    with pytest.raises(UnknownName, match=r"no asset marts\.order\. Near are: marts\.orders"):
        resolve(graph, "marts.order")
    with pytest.raises(UnknownName, match=r"several assets; say which\. Near are: staging/other, raw/other"):
        resolve(graph, "shared")


def test_document_is_the_same_whatever_the_order_and_reads_back(graph: LineageGraph) -> None:
    turned = LineageGraph(reversed(list(graph.assets.values())), reversed(graph.edges))
    content = document_of(graph, ("a problem",), {"dbt": "1"})
    assert digest(content) == digest(document_of(turned, ("a problem",), {"dbt": "1"}))
    document = read_document(content)
    assert document.problems == ("a problem",)
    assert document_of(document.graph, document.problems, document.read) == content
