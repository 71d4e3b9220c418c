"""sqlglot's own column lineage, which Dagster shows for built models, and the graph agree on what is made of what."""

from collections.abc import Mapping
from typing import Any

import sqlglot
from sqlglot import exp
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from platform_assets.lineage.dbt_models import asset_name, in_order
from platform_assets.lineage.graph import Influence, LineageGraph, Place

_QUOTE = '"'


def leaves(node: Node) -> set[str]:
    """The columns of tables at the ends of sqlglot's tree, as `asset.column`; a field counts as its column."""
    if not node.downstream:
        table = node.source if isinstance(node.source, exp.Table) else None
        return {f"{table.db}/{table.name}.{node.name.rsplit('.', 1)[-1].strip(_QUOTE)}"} if table is not None else set()
    return set().union(*(leaves(one) for one in node.downstream))


def column_of(place: Place) -> str:
    return f"{place.asset}.{(place.column or '').partition('.')[0]}"


def test_every_source_that_sqlglot_finds_is_in_the_graph(manifest: Mapping[str, Any], graph: LineageGraph) -> None:
    """As a part or as a condition, which it does not tell apart; and nothing is called a part that it does not find."""
    relations = {
        f"{node['schema']}/{node.get('alias') or node['identifier']}": asset_name(node)
        for node in [*manifest["sources"].values(), *in_order(manifest)]
    }
    schema: dict[str, dict[str, dict[str, str]]] = {}
    for relation, name in relations.items():
        columns = {column.name: "unknown" for column in graph.assets[name].columns if "." not in column.name}
        schema.setdefault(relation.partition("/")[0], {})[relation.partition("/")[2]] = columns
    compared = 0
    missing: set[tuple[str, str]] = set()
    surplus: set[tuple[str, str]] = set()
    for node in in_order(manifest):
        tree = sqlglot.parse_one(node["compiled_code"], dialect="duckdb")
        for table in tree.find_all(exp.Table):
            table.set("catalog", None)
        scope = build_scope(qualify(tree, schema=schema, dialect="duckdb", validate_qualify_columns=False))
        name = asset_name(node)
        for column in graph.assets[name].columns:
            if "." in column.name or column.name.startswith("dbt_"):
                continue
            found = leaves(lineage(column.name, tree, scope=scope, schema=schema, dialect="duckdb"))
            theirs = {f"{relations[one.partition('.')[0]]}.{one.partition('.')[2]}" for one in found}
            edges = [edge for edge in graph.before(Place(name, column.name)) if edge.source != name]
            ours = {column_of(edge.start) for edge in edges}
            direct = {column_of(edge.start) for edge in edges if edge.influence is Influence.DIRECT}
            compared += 1
            place = str(Place(name, column.name))
            missing |= {(place, one) for one in theirs - ours if not one.endswith(".*")}
            surplus |= {(place, one) for one in direct - theirs if not one.endswith(".*")}
    assert compared > 200
    assert missing == set()
    assert surplus == set()
