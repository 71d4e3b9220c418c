"""Records assets, transformations and edges that people name themselves, beside what code and dbt say."""

from platform_assets.lineage.graph import ROWS, Asset, Column, Edge, Influence, LineageGraph
from platform_assets.lineage.statement import StatementUnreadable, read_statement
from platform_assets.lineage.values import Columns, Table
from resources.lineage.store import LineageStore, Recorded, RecordedTransformation


def record_asset(store: LineageStore, asset: Asset) -> Asset:
    """Record an asset, or what is new of a known one; returns all that is known of it.

    Raises:
        LineageError: the name belongs to something of another kind.
    """
    with store.recording() as (graph, recorded):
        return _record_asset(graph, recorded, asset)


def record_transformation(store: LineageStore, transformation: RecordedTransformation) -> None:
    """Record a transformation by its name; edges that were made of an earlier text stay as they are."""
    with store.recording() as (_, recorded):
        recorded.transformations[transformation.name] = transformation


def record_edge(
    store: LineageStore, source: str, target: str, transformation: RecordedTransformation | None
) -> list[Edge]:
    """Record that an asset is made of another one, by column where the transformation is SQL that reads the source.

    Raises:
        LineageError: one of them is not known.
        CycleRefused: the source is made of the target already; nothing is recorded.
    """
    with store.recording() as (graph, recorded):
        edges = _column_edges(graph, source, target, transformation) if transformation is not None else []
        columns = {edge.target_column: None for edge in edges if edge.target_column not in {None, ROWS}}
        if columns:
            found = tuple(Column(str(name)) for name in columns)
            _record_asset(graph, recorded, Asset(name=target, kind=graph.assets[target].kind, columns=found))
        if not edges:
            found_in = f"transformation {transformation.name}" if transformation is not None else "a call"
            edges = [Edge(source=source, target=target, found_in=found_in)]
        for edge in edges:
            graph.add_edge(edge)
            if edge not in recorded.edges:
                recorded.edges.append(edge)
        return edges


def _record_asset(graph: LineageGraph, recorded: Recorded, asset: Asset) -> Asset:
    known = graph.add_asset(asset)
    own = LineageGraph(one for one in recorded.assets if one.name == asset.name)
    recorded.assets = [one for one in recorded.assets if one.name != asset.name]
    recorded.assets.append(own.add_asset(asset))
    return known


def _column_edges(graph: LineageGraph, source: str, target: str, transformation: RecordedTransformation) -> list[Edge]:
    """The edges between the two that a statement says; none where it is no SQL, or reads the source by another name."""
    if transformation.code is None or source not in graph.assets or target not in graph.assets:
        return []
    table = source.replace("/", ".").lower()
    columns = [column.name for column in graph.assets[source].columns if "." not in column.name]
    try:
        statement = read_statement(
            transformation.code,
            {table: Table([name.lower() for name in columns])} if columns else {},
            dialect=transformation.dialect,
        )
    except StatementUnreadable:
        return []
    names = {name.lower(): name for name in columns}
    found_in = f"transformation {transformation.name}"

    edges: list[Edge] = []

    def add(places: Columns, column: str, influence: Influence) -> None:
        edges.extend(
            Edge(
                source=source, source_column=names.get(name, name), target=target, target_column=column,
                influence=Influence.DIRECT if column == name == ROWS else influence, found_in=found_in,
            )
            for read, name in sorted(places)
            if read == table
        )  # fmt: skip

    for column, value in statement.relation.columns.items():
        add(value.direct, column, Influence.DIRECT)
        add(value.condition - value.direct, column, Influence.CONDITION)
    add(statement.relation.rows, ROWS, Influence.CONDITION)
    return edges
