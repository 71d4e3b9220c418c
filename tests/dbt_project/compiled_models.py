"""The SQL that dbt made of each model, run on a connection without dbt.

A `dbt build` costs seconds, its SQL on a few hundred rows milliseconds: many small incremental builds can then be
compared with a whole one. The SQL is the one that dbt compiled and ran, the strategies' deletes included.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any

import duckdb

from tests.dbt_project.dbt_build import Built

CATALOG = "warehouse"
SCHEMAS = ("staging", "intermediate", "marts", "inference")
"""Where models stand."""
BOOKKEEPING = {"fct_rejections": ["compared_to"]}
"""What an incremental model remembers for itself: a whole build has nothing to remember."""


@dataclass(frozen=True)
class Step:
    """How an incremental model continues: the query of its fresh rows, their table's name, and what writes them."""

    fresh: str
    temporary: str
    write: str


@dataclass(frozen=True)
class CompiledModel:
    """One model. `relation` is quoted, with the catalog; only an incremental model has a step."""

    name: str
    relation: str
    is_view: bool
    whole: str
    step: Step | None


def compiled_models(first: Built, second: Built) -> list[CompiledModel]:
    """All models in the order of a build, as compiled for new tables and, to continue them, by a second build."""
    manifest = first.artefact("manifest")
    nodes = {key: node for key, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    order = TopologicalSorter(manifest["parent_map"]).static_order()
    return [_compiled(nodes[key], first, second) for key in order if key in nodes]


def _compiled(node: dict[str, Any], first: Built, second: Built) -> CompiledModel:
    compiled, path = f"compiled/{node['package_name']}", node["original_file_path"]
    materialized = node["config"]["materialized"]
    step = None
    if materialized == "incremental":
        write = (second.artefacts / "run" / node["package_name"] / path).read_text()
        (temporary,) = set(re.findall(r'"(\w+__dbt_tmp\w+)"', write))
        step = Step((second.artefacts / compiled / path).read_text(), temporary, write)
    return CompiledModel(
        node["name"],
        node["relation_name"],
        materialized == "view",
        (first.artefacts / compiled / path).read_text(),
        step,
    )


def copy_origins(connection: duckdb.DuckDBPyConnection, origin: str, target: str, *, rows: bool = True) -> None:
    """Copy what models are made of from one catalog to another: sources and snapshots, with their rows or empty."""
    tables = connection.execute(
        "select schema_name, table_name from duckdb_tables() where database_name = $origin "
        "and schema_name != 'tests' and (not list_contains($schemas, schema_name) or starts_with(table_name, 'snap_'))",
        {"origin": origin, "schemas": list(SCHEMAS)},
    ).fetchall()
    for schema, table in tables:
        name = f"{schema}.{table}"
        connection.execute(f"create schema if not exists {target}.{schema}")
        connection.execute(f"create table {target}.{name} as from {origin}.{name} {'' if rows else 'limit 0'}")


def build_whole(
    connection: duckdb.DuckDBPyConnection, models: Iterable[CompiledModel], *, catalog: str = CATALOG
) -> None:
    """Make every model anew in a catalog that holds the raw tables and the snapshots."""
    for model in models:
        kind = "view" if model.is_view else "table"
        statement = f"create or replace {kind} {model.relation} as {model.whole}"
        connection.execute(statement.replace(f'"{CATALOG}".', f'"{catalog}".'))


def build_new(connection: duckdb.DuckDBPyConnection, models: Iterable[CompiledModel]) -> None:
    """Continue the incremental models, each in a transaction, and make the other tables anew."""
    for model in models:
        if model.step is not None:
            connection.begin()
            connection.execute(f'create temp table "{model.step.temporary}" as {model.step.fresh}')
            connection.execute(model.step.write)
            connection.execute(f'drop table "{model.step.temporary}"')
            connection.commit()
        elif not model.is_view:
            connection.execute(f"create or replace table {model.relation} as {model.whole}")


def differences(
    connection: duckdb.DuckDBPyConnection, models: Sequence[CompiledModel], one: str, other: str
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows that only one of two catalogs has, at most five for each model that differs."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for model in models:
        if model.is_view:
            continue
        relations = [model.relation.replace(f'"{CATALOG}".', f'"{catalog}".') for catalog in (one, other)]
        names = [str(row[0]) for row in connection.execute(f"describe {relations[0]}").fetchall()]
        columns = ", ".join(name for name in names if name not in BOOKKEEPING.get(model.name, []))
        left, right = (f"from {relation} select {columns}" for relation in relations)
        rows = connection.execute(
            f"from ({left} except all {right}) select '{one}' as only_in, * "  # noqa: S608 - our own names
            f"union all from ({right} except all {left}) select '{other}', * limit 5"
        ).fetchall()
        if rows:
            found[model.name] = rows
    return found
