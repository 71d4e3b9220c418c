"""Reads queries: their columns, what decides their rows, and what no two of their rows share."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from platform_assets.lineage.expressions import ExpressionReader
from platform_assets.lineage.graph import ROWS
from platform_assets.lineage.values import (
    NOTHING,
    ONE_ROW,
    Columns,
    Keys,
    Relation,
    Table,
    Value,
    source_column,
    together,
)


class RelationReader(ExpressionReader):
    """Reads the queries of one qualified statement, each once. `unknown` collects columns that cannot be followed."""

    def __init__(self, schema: Mapping[str, Table]) -> None:
        self._schema = schema
        self._relations: dict[int, Relation] = {}
        self._beside: dict[tuple[int, str], Columns] = {}
        """What decides the columns of a joined source, by scope and alias, and not its left side's rows."""
        self.unknown: list[str] = []

    def relation(self, scope: Scope) -> Relation:
        """What a query, a CTE or a subquery gives."""
        # By expression: in a recursive CTE its own name has a scope that only knows where the recursion begins.
        key = id(scope.expression)
        known = self._relations.get(key)
        if known is None:
            self._relations[key] = Relation({}, NOTHING)
            known = self._relations[key] = self._read(scope)
        return known

    def column(self, column: exp.Column, scope: Scope) -> Value:
        """A column of a source of this scope or, in a correlated subquery, of one further out."""
        owner: Scope | None = scope
        while owner is not None and column.table not in owner.sources:
            owner = owner.parent
        name = column.name.lower()
        if owner is not None:
            source = owner.sources[column.table]
            beside = self._beside.get((id(owner), column.table), NOTHING)
            if isinstance(source, exp.Table) and (source.name not in self._schema):
                return source_column(source.name, name).given(beside)
            found = self._joined(source).columns.get(name)
            if found is not None:
                return found.given(beside)
        # ORDER BY may name what the query selects, by its alias there.
        query = scope.expression
        if not column.table and isinstance(query, exp.Query):
            for one in query.selects:
                if one.alias == name:
                    return self.value(one, scope)
        self.unknown.append(column.sql("duckdb"))
        return Value()

    def subquery(self, node: exp.Expr, scope: Scope) -> Value:
        """A scalar subquery, an EXISTS, or what IN looks at."""
        query = node.this if isinstance(node, exp.Subquery | exp.Exists) else node
        inner = next((one for one in scope.subquery_scopes if one.expression in (query, node)), None)
        if inner is None:
            return Value()
        relation = self.relation(inner)
        if isinstance(node, exp.Exists):
            return Value(condition=relation.rows)
        return together(relation.columns.values()).given(relation.rows)

    def counted_rows(self, scope: Scope) -> Columns:
        """The rows of the sources' own sources."""
        sources = (self._joined(source).rows for _, source in scope.selected_sources.values())
        return frozenset(place for place in NOTHING.union(*sources) if place[1] == ROWS)

    def _joined(self, source: Scope | exp.Table) -> Relation:
        if isinstance(source, Scope):
            return self.relation(source)
        known = self._schema.get(source.name, Table(()))
        columns = {name: source_column(source.name, name) for name in known.columns}
        return Relation(columns, frozenset({(source.name, ROWS)}), known.keys)

    def _read(self, scope: Scope) -> Relation:
        expression = scope.expression
        if isinstance(expression, exp.SetOperation):
            return self._set_operation(scope, expression)
        if isinstance(expression, exp.Select):
            return self._select(scope, expression)
        if isinstance(expression, exp.Subquery) and scope.subquery_scopes:
            return self.relation(scope.subquery_scopes[0])
        # UNNEST and table functions: every column comes from all arguments, and so do the rows.
        made = together([self.value(one, scope) for one in expression.expressions or [expression.this]])
        names = expression.alias_column_names or [expression.alias_or_name]
        return Relation(dict.fromkeys((name.lower() for name in names), made), made.all)

    def _set_operation(self, scope: Scope, expression: exp.SetOperation) -> Relation:
        left, right = (self.relation(one) for one in scope.union_scopes)
        rows = left.rows | right.rows
        if not isinstance(expression, exp.Union):
            # EXCEPT and INTERSECT: whether a row stays is decided by all of its values, on both sides.
            return Relation(left.columns, rows | left.everything | right.everything, left.keys)
        pairs = zip(left.columns.items(), right.columns.values(), strict=False)
        columns = {name: together([first, second]) for (name, first), second in pairs}
        if not expression.args.get("distinct"):
            return Relation(columns, rows)
        return Relation(columns, rows | left.everything | right.everything, frozenset({frozenset(columns)}))

    def _select(self, scope: Scope, select: exp.Select) -> Relation:
        rows, keys = self._from(scope, select)
        group, having = select.args.get("group"), select.args.get("having")
        clauses = [select.args.get(name) for name in ("where", "qualify")]
        rows |= self.everything([clause.this for clause in clauses if clause is not None], scope)
        if select.args.get("limit") is not None and select.args.get("order") is not None:
            rows |= self.everything(select.args["order"].expressions, scope)
        columns = {one.alias_or_name.lower(): self.value(one, scope) for one in select.selects}
        for one in select.selects:
            if one.find(exp.Explode, exp.Unnest) is not None:
                rows |= self.value(one, scope).all
                keys = frozenset()
        if group is None and any(map(_aggregates, select.selects)):
            # One row whatever it reads: what decides the rows that it reads decides its values.
            columns = {name: value.given(rows) for name, value in columns.items()}
            rows, keys = NOTHING, ONE_ROW
        else:
            keys = _projected(keys, select)
        if group is not None:
            grouped = list(_grouped(group, select))
            rows |= self.everything(grouped, scope)
            keys = _group_keys(grouped, select)
        if having is not None:
            rows |= self.everything([having.this], scope)
            keys -= ONE_ROW
        distinct = select.args.get("distinct")
        if distinct is not None:
            on = distinct.args.get("on")
            rows |= self.everything([on], scope) if on is not None else Relation(columns, rows).everything
            keys |= frozenset({frozenset(columns)})
        return Relation(columns, rows, keys)

    def _from(self, scope: Scope, select: exp.Select) -> tuple[Columns, Keys]:
        """What decides the rows of the FROM with its joins, and its keys as `alias.column`."""
        joins = {join.this.alias_or_name: join for join in select.args.get("joins") or []}
        rows, keys = NOTHING, ONE_ROW
        for alias, (_, source) in scope.selected_sources.items():
            relation = self._joined(source)
            join = joins.get(alias)
            own = frozenset(frozenset(f"{alias}.{name}" for name in key) for key in relation.keys)
            if join is None:
                rows |= relation.rows
                keys = own if keys == ONE_ROW else frozenset(one | other for one in keys for other in own)
                continue
            on = self.everything([join.args.get("on")], scope)
            matches_once = relation.is_one_row or relation.is_unique_by(_equal_columns(join, alias))
            keeps_left = join.side == "LEFT" or (relation.is_one_row and join.args.get("on") is None)
            if matches_once and keeps_left:
                self._beside[id(scope), alias] = on | relation.rows
                continue
            rows |= on | relation.rows
            if join.side in {"RIGHT", "FULL"} or not matches_once:
                keys = frozenset(one | other for one in keys for other in own)
        for alias, join in joins.items():
            # A SEMI or ANTI join gives no columns, and no row twice: it only decides which rows stay.
            if join.kind in {"SEMI", "ANTI"} and alias in scope.sources:
                rows |= self.everything([join.args.get("on")], scope) | self._joined(scope.sources[alias]).rows
        return rows, keys


def _equal_columns(join: exp.Join, alias: str) -> frozenset[str]:
    """The columns of the joined source that must equal something for two rows to match."""
    on = join.args.get("on")
    if on is None:
        return frozenset()
    terms = on.flatten() if isinstance(on, exp.And) else [on]
    equals = [term.unnest() for term in terms]
    sides = [side for one in equals if isinstance(one, exp.EQ) for side in (one.this, one.expression)]
    return frozenset(side.name.lower() for side in sides if isinstance(side, exp.Column) and side.table == alias)


def _projected(keys: Keys, select: exp.Select) -> Keys:
    """The keys whose columns are all selected, by their names in the result."""
    named = {
        f"{column.table}.{column.name.lower()}": one.alias_or_name.lower()
        for one in select.selects
        if isinstance(column := one.unalias(), exp.Column)
    }
    return frozenset(frozenset(named[name] for name in key) for key in keys if key <= named.keys())


def _grouped(group: exp.Group, select: exp.Select) -> Iterator[Any]:
    """What rows are grouped by."""
    yield from group.expressions
    if group.args.get("all"):
        yield from (one for one in select.selects if not _aggregates(one))
    for name in ("grouping_sets", "cube", "rollup"):
        for one in group.args.get(name) or []:
            yield from one.expressions


def _group_keys(grouped: list[Any], select: exp.Select) -> Keys:
    """The selected columns that make a group, if all of what it is grouped by is selected."""
    names = {one.unalias().sql("duckdb"): one.alias_or_name.lower() for one in select.selects}
    wanted = [one.unalias().sql("duckdb") for one in grouped]
    return frozenset({frozenset(names[one] for one in wanted)}) if all(one in names for one in wanted) else frozenset()


def _aggregates(expression: exp.Expr) -> bool:
    """Whether it makes one value of many rows; a window function does not, and a subquery is not this query's."""
    return any(
        isinstance(node, exp.AggFunc) and not _is_windowed(node)
        for node in expression.walk(prune=lambda node: isinstance(node, exp.Query))
    )


def _is_windowed(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Filter | exp.IgnoreNulls | exp.RespectNulls):
        parent = parent.parent
    return isinstance(parent, exp.Window)
