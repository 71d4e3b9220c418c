"""Reads expressions: what is a part of the value, and what only decides it."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import msgspec
from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from platform_assets.lineage.values import NOTHING, Columns, Value, together

_JSON_TO_STRUCT = {"json_transform", "json_transform_strict", "from_json", "from_json_strict"}
_JSON_TO_VALUE = {"json_extract", "json_extract_path", "json_extract_string", "json_extract_path_text", "json_value"}

_WRITTEN = "written"


def mark_written(tree: exp.Expr) -> None:
    """Mark each COALESCE that stands in the statement, since the parser makes more of them for JOIN … USING."""
    for node in tree.find_all(exp.Coalesce):
        node.meta[_WRITTEN] = True
    for join in tree.find_all(exp.Join):
        if join.side in {"RIGHT", "FULL"} and join.args.get("using"):
            tree.meta[_WRITTEN] = True


def is_made_of_using(node: exp.Coalesce) -> bool:
    """Whether the parser made it for a JOIN … USING that keeps the rows of the first side."""
    return not node.meta.get(_WRITTEN) and not node.root().meta.get(_WRITTEN)


class ExpressionReader(ABC):
    """Reads the expressions of a scope; what a column, a subquery and the rows are, its subclass knows."""

    @abstractmethod
    def column(self, column: exp.Column, scope: Scope) -> Value:
        """A column of one of the scope's sources."""

    @abstractmethod
    def subquery(self, node: exp.Expr, scope: Scope) -> Value:
        """A query inside an expression."""

    @abstractmethod
    def counted_rows(self, scope: Scope) -> Columns:
        """The rows that `count(*)` counts."""

    def everything(self, nodes: Iterable[Any], scope: Scope) -> Columns:
        """Whatever bears on any of these expressions; None is skipped."""
        return NOTHING.union(*(self.value(node, scope).all for node in nodes if node is not None))

    def value(self, node: Any, scope: Scope) -> Value:
        """What an expression is made of."""
        match node:
            case exp.Column():
                return self.column(node, scope)
            case exp.Alias() | exp.Paren() | exp.Cast() | exp.TryCast():
                return self.value(node.this, scope)
            case exp.Subquery() | exp.Exists() | exp.Query():
                return self.subquery(node, scope)
            case exp.Count() if node.this is None or isinstance(node.this, exp.Star):
                return Value(self.counted_rows(scope))
            case exp.Expr():
                value = self._field(node, scope) or self._decided(node, scope)
                return value or together(self.value(child, scope) for child in node.iter_expressions())
        return Value()

    def _field(self, node: exp.Expr, scope: Scope) -> Value | None:
        """A struct, or a field of a struct or of a JSON text; None for any other expression."""
        match node:
            case exp.Bracket() if (name := _text(node.expressions)) is not None:
                return self.value(node.this, scope).get(name)
            case exp.Dot() if isinstance(node.expression, exp.Identifier):
                return self.value(node.this, scope).get(node.expression.name)
            case exp.JSONExtract() | exp.JSONExtractScalar() if isinstance(node.expression, exp.JSONPath):
                return self.value(node.this, scope).at(node.expression.sql("duckdb").strip("'"))
            case exp.Anonymous() if node.name.lower() in _JSON_TO_STRUCT | _JSON_TO_VALUE:
                return self._json_function(node, scope)
            case exp.Struct():
                return self._struct(node, scope)
        return None

    def _decided(self, node: exp.Expr, scope: Scope) -> Value | None:
        """A value that other values decide without being a part of it; None for any other expression."""
        deciding: list[Any]
        made = node.this
        match node:
            case exp.Case():
                return self._case(node, scope)
            case exp.If():
                results = [self.value(node.args.get(name), scope) for name in ("true", "false")]
                return together(results).given(self.value(node.this, scope).all)
            case exp.Filter():
                deciding = [node.expression.this]
            case exp.Window():
                deciding = [*node.args.get("partition_by", []), node.args.get("order"), node.args.get("spec")]
            case exp.ArgMin() | exp.ArgMax():
                deciding = [node.expression]
            case exp.Order():
                deciding = node.expressions
            case exp.Coalesce() if is_made_of_using(node):
                # JOIN … USING gives the first side's column; only a FULL or RIGHT one needs the others.
                deciding = []
            case _:
                return None
        return self.value(made, scope).given(self.everything(deciding, scope))

    def _json_function(self, node: exp.Anonymous, scope: Scope) -> Value:
        text, *rest = node.expressions
        value, argument = self.value(text, scope), _text(rest)
        if argument is None:
            return together([value, *(self.value(one, scope) for one in rest)])
        if node.name.lower() in _JSON_TO_VALUE:
            return value.at(argument)
        try:
            return value.structured(msgspec.json.decode(argument))
        except msgspec.DecodeError:
            return together([value])

    def _struct(self, node: exp.Struct, scope: Scope) -> Value:
        fields = {}
        for one in node.expressions:
            is_named = isinstance(one, exp.PropertyEQ)
            fields[one.this.name if is_named else one.alias_or_name] = self.value(
                one.expression if is_named else one, scope
            )
        made = together(fields.values())
        return Value(made.direct, made.condition, None, fields)

    def _case(self, node: exp.Case, scope: Scope) -> Value:
        branches = node.args["ifs"]
        results = [self.value(branch.args["true"], scope) for branch in branches]
        results.append(self.value(node.args.get("default"), scope))
        return together(results).given(self.everything([node.this, *(branch.this for branch in branches)], scope))


def _text(arguments: list[exp.Expr]) -> str | None:
    """The first argument, if it is a text that stands in the statement."""
    first = arguments[0] if arguments else None
    return first.this if isinstance(first, exp.Literal) and first.is_string else None
