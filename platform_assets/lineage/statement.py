"""Reads one SELECT: which source columns each of its columns is made of, and which decide what rows it has.

Direct is what a value is made of; a condition is what decides it: a filter, a join, a group, an order, the test of a
CASE. Rows are followed apart from values: a join on a unique key, or with a single row, changes no row of its left
side, so what stands to the right of it bears only on the columns that are taken from there. JSON and struct fields
are followed by name, through `json_transform`, `->`, brackets and dots.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import build_scope

from platform_assets.lineage.expressions import mark_written
from platform_assets.lineage.relations import RelationReader
from platform_assets.lineage.values import Relation, Table


class StatementUnreadable(ValueError):
    """The statement cannot be parsed, or is no query."""


@dataclass(frozen=True)
class StatementLineage:
    """What the statement gives, and the columns that it names and nobody knows."""

    relation: Relation
    sources: frozenset[str]
    unknown: tuple[str, ...]


def read_statement(sql: str, schema: Mapping[str, Table], *, dialect: str = "duckdb") -> StatementLineage:
    """The lineage of a query, or of the query in a CREATE TABLE AS or INSERT.

    Args:
        sql: one statement; its parameters are values from outside.
        schema: the tables that it may read, by the lower-case name, `schema.table` where it writes a schema. A table
            that is missing here is followed by the columns that the statement names.
        dialect: as sqlglot calls it.

    Raises:
        StatementUnreadable: naming what is wrong with it.
    """
    try:
        tree = sqlglot.parse_one(sql, dialect=dialect)
        if isinstance(tree, exp.Create | exp.Insert) and tree.expression is not None:
            tree = tree.expression
        if not isinstance(tree, exp.Query):
            raise StatementUnreadable(f"A {tree.key} is no query; give the SELECT that makes the rows.")
        mark_written(tree)
        sources = _flatten_names(tree)
        known = {name: dict.fromkeys(table.columns, "unknown") for name, table in schema.items() if name in sources}
        tree = qualify(
            tree, dialect=dialect, schema=known, infer_schema=True, validate_qualify_columns=False,
            allow_partial_qualification=True, quote_identifiers=False,
        )  # fmt: skip
        root = build_scope(tree)
    except (SqlglotError, RecursionError) as error:
        reason = str(error).split("\n", 1)[0]
        raise StatementUnreadable(f"The statement cannot be read: {reason or type(error).__name__}") from None
    if root is None:
        raise StatementUnreadable("The statement is no query; give the SELECT that makes the rows.")
    reader = RelationReader(schema)
    relation = reader.relation(root)
    return StatementLineage(relation, frozenset(sources), tuple(dict.fromkeys(reader.unknown)))


def _flatten_names(tree: exp.Expr) -> set[str]:
    """Give every table one name without dots for its parser, `schema.table`, and an alias to be called by."""
    ctes = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    names = set()
    for table in list(tree.find_all(exp.Table)):
        if not isinstance(table.this, exp.Identifier) or (not table.db and table.name.lower() in ctes):
            continue
        name = ".".join(filter(None, (table.db, table.name))).lower()
        names.add(name)
        if not table.alias:
            table.set("alias", exp.TableAlias(this=exp.to_identifier(table.name.lower())))
        table.set("this", exp.to_identifier(name, quoted=True))
        table.set("db", None)
        table.set("catalog", None)
    return names
