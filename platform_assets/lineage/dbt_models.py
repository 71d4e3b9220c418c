"""Reads dbt's manifest: sources, models and snapshots with their columns, and what each column is made of.

The manifest must be of `dbt compile`. Incremental models are read as they are built the first time: that a later build
ends in the same rows is for dbt's tests to prove. Names are those of Dagster's assets.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from typing import Any

from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.graph import ROWS, AssetKind, Column, Influence, LineageError, Place
from platform_assets.lineage.statement import StatementUnreadable, read_statement
from platform_assets.lineage.values import Columns, Keys, Relation, Table, Value

_BUILT = {"model", "snapshot", "seed"}
_SNAPSHOT_COLUMNS = ("dbt_scd_id", "dbt_updated_at", "dbt_valid_from", "dbt_valid_to")


class NotCompiled(LineageError):
    """The manifest has no compiled statements."""


def add_dbt_models(builder: GraphBuilder, manifest: Mapping[str, Any]) -> None:
    """Add every source, model, snapshot and seed; what cannot be read becomes a problem of the builder's.

    Raises:
        NotCompiled: the manifest is of `dbt parse`.
    """
    reader = _ManifestReader(builder, manifest)
    for source in manifest["sources"].values():
        reader.add_source(source)
    for node in in_order(manifest):
        reader.add_node(node)


def asset_name(node: Mapping[str, Any]) -> str:
    """The name of a source's or model's asset, as dagster-dbt gives it."""
    own = (node.get("config", {}).get("meta") or node.get("meta") or {}).get("dagster", {}).get("asset_key")
    if own:
        return "/".join(own)
    if node["resource_type"] == "source":
        return f"{node['source_name']}/{node['name']}"
    schema = node["config"].get("schema")
    name = node["alias"] if node.get("version") else node["name"]
    return f"{schema}/{name}" if schema else str(name)


def in_order(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Models, snapshots and seeds, each after what it reads."""
    nodes = {
        key: node
        for key, node in manifest["nodes"].items()
        if node["resource_type"] in _BUILT and node["config"].get("materialized") != "ephemeral"
    }
    order = TopologicalSorter({key: _parents(manifest, node) for key, node in sorted(nodes.items())})
    return (nodes[key] for key in order.static_order() if key in nodes)


def _parents(manifest: Mapping[str, Any], node: Mapping[str, Any]) -> set[str]:
    """What a node reads, through ephemeral models."""
    found: set[str] = set()
    for key in node.get("depends_on", {}).get("nodes", []):
        parent = manifest["nodes"].get(key)
        if parent is not None and parent["config"].get("materialized") == "ephemeral":
            found |= _parents(manifest, parent)
        else:
            found.add(key)
    return found


class _ManifestReader:
    def __init__(self, builder: GraphBuilder, manifest: Mapping[str, Any]) -> None:
        self._builder = builder
        self._manifest = manifest
        self._tables: dict[str, Table] = {}
        self._assets: dict[str, str] = {}
        self._keys = _tested_keys(manifest)

    def add_source(self, source: Mapping[str, Any]) -> None:
        """A raw table, with the columns of its YAML."""
        self._add(source, list(source["columns"]), source["identifier"])

    def add_node(self, node: Mapping[str, Any]) -> None:
        """A model, a snapshot or a seed, with the columns of its statement."""
        if node["resource_type"] == "seed":
            self._add(node, list(node["columns"]), node["alias"])
            return
        sql = node.get("compiled_code")
        if sql is None:
            raise NotCompiled("The manifest is not of `dbt compile`: it has no compiled statements.")
        name = asset_name(node)
        try:
            statement = read_statement(sql, self._tables)
        except StatementUnreadable as error:
            self._add(node, list(node["columns"]), node["alias"])
            self._give_up(node, str(error))
            return
        relation = statement.relation
        if node["resource_type"] == "snapshot":
            relation = _with_history(relation, node["config"])
        self._add(node, list(relation.columns), node["alias"], relation.keys)
        found_in = f"dbt {node['resource_type']} {node['name']}"
        for column, value in relation.columns.items():
            self._add_edges(Place(name, column), value, found_in)
        self._add_conditions(Place(name, ROWS), relation.rows, found_in)
        if statement.unknown:
            self._give_up(node, f"nobody knows {', '.join(statement.unknown)}")

    def _add(self, node: Mapping[str, Any], columns: list[str], relation: str, keys: Keys = frozenset()) -> None:
        name = asset_name(node)
        described = {key.lower(): column for key, column in node["columns"].items()}
        self._builder.asset(
            name,
            AssetKind.TABLE,
            node.get("description", "").strip(),
            [
                Column(
                    column,
                    (described.get(column, {}).get("data_type") or "").lower(),
                    described.get(column, {}).get("description", ""),
                )
                for column in (one.lower() for one in columns)
            ],
            aliases=(node["name"],) if node["resource_type"] != "source" else (),
        )
        table = f"{node['schema']}.{relation}".lower()
        self._assets[table] = name
        self._tables[table] = Table([one.lower() for one in columns], keys | self._keys[node["unique_id"]])

    def _add_edges(self, target: Place, value: Value, found_in: str) -> None:
        if value.path is not None and (origin := self._place(value.path)) is not None:
            self._builder.passes(origin, target, found_in)
        for source in sorted(value.direct):
            if (place := self._place(source)) is not None:
                self._builder.edge(place, target, found_in)
        for source in sorted(value.condition - value.direct):
            if (place := self._place(source)) is not None:
                self._builder.edge(place, target, found_in, Influence.CONDITION)

    def _add_conditions(self, rows: Place, conditions: Columns, found_in: str) -> None:
        for source in sorted(conditions):
            if (place := self._place(source)) is not None:
                influence = Influence.DIRECT if source[1] == ROWS else Influence.CONDITION
                self._builder.edge(place, rows, found_in, influence)

    def _place(self, source: tuple[str, str]) -> Place | None:
        table, column = source
        asset = self._assets.get(table)
        return Place(asset, column) if asset is not None else None

    def _give_up(self, node: Mapping[str, Any], reason: str) -> None:
        """Everything that the model reads bears on everything in it: more than is true, and nothing is missed."""
        name = asset_name(node)
        self._builder.problems.append(f"{name}: {reason}; all that it reads is taken to bear on all of its columns")
        for key in sorted(_parents(self._manifest, node)):
            parent = self._manifest["nodes"].get(key) or self._manifest["sources"].get(key)
            if parent is not None:
                self._builder.edge(Place(asset_name(parent)), Place(name), "dbt's depends_on", Influence.CONDITION)


def _tested_keys(manifest: Mapping[str, Any]) -> dict[str, Keys]:
    """The combinations of columns that a test of dbt's holds to be unique, by node."""
    keys: dict[str, Keys] = defaultdict(frozenset)
    for test in manifest["nodes"].values():
        about = test.get("test_metadata") or {}
        tested = test.get("depends_on", {}).get("nodes", [])
        if test["resource_type"] != "test" or len(tested) != 1:
            continue
        arguments = about.get("kwargs", {})
        columns = {"unique": [arguments.get("column_name")], "unique_combination": arguments.get("columns")}
        found = columns.get(str(about.get("name")))
        if found and all(isinstance(one, str) for one in found):
            keys[tested[0]] |= {frozenset(one.lower() for one in found)}
    return keys


def _with_history(relation: Relation, config: Mapping[str, Any]) -> Relation:
    """A snapshot's rows and its own columns: when a row is a new one is decided by what dbt compares."""
    checked = config.get("check_cols") or []
    compared = list(relation.columns) if checked == "all" else [one.lower() for one in checked]
    key = config.get("unique_key") or []
    compared += [one.lower() for one in ([key] if isinstance(key, str) else key)]
    updated_at = config.get("updated_at")
    if updated_at:
        compared.append(updated_at.lower())
    deciding = frozenset().union(*(relation.columns[one].all for one in compared if one in relation.columns))
    names = config.get("snapshot_meta_column_names") or {}
    own = [names.get(name) or name for name in _SNAPSHOT_COLUMNS]
    if config.get("hard_deletes") == "new_record":
        own.append(names.get("dbt_is_deleted") or "dbt_is_deleted")
    columns = dict(relation.columns) | dict.fromkeys(own, Value(condition=deciding | relation.rows))
    return Relation(columns, relation.rows | deciding)
