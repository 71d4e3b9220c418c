"""What a value of a query is made of, and what a query gives: the terms in which a statement is read."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

SourceColumn = tuple[str, str]
"""A source's name as the schema gives it, and a column of it; `*` is its rows."""

Columns = frozenset[SourceColumn]
NOTHING: Columns = frozenset()
Keys = frozenset[frozenset[str]]
"""Combinations of columns that no two rows share. An empty one: there is exactly one row."""

ONE_ROW: Keys = frozenset({frozenset()})
_PLAIN_PATH = re.compile(r"\$?\.?([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)")


@dataclass(frozen=True)
class Table:
    """A source: its columns in order, and the combinations of them that no two rows share."""

    columns: Sequence[str]
    keys: Keys = frozenset()


@dataclass(frozen=True)
class Value:
    """What one value is made of. `path` is the source column or field that it is, where it is one as it stands."""

    direct: Columns = NOTHING
    condition: Columns = NOTHING
    path: SourceColumn | None = None
    fields: Mapping[str, "Value"] = field(default_factory=dict)

    @property
    def all(self) -> Columns:
        """Everything that bears on it."""
        return self.direct | self.condition

    def given(self, condition: Columns) -> "Value":
        """The same value where something else decides it too."""
        if condition <= self.condition:
            return self
        fields = {name: value.given(condition) for name, value in self.fields.items()}
        return Value(self.direct, self.condition | condition, self.path, fields)

    def get(self, name: str) -> "Value":
        """A field of it; of a value that is not followed by field, all of it."""
        if name in self.fields:
            return self.fields[name]
        if self.fields or self.path is None:
            return Value(self.direct, self.condition)
        path = (self.path[0], f"{self.path[1]}.{name}")
        return Value(frozenset({path}), self.condition, path)

    def at(self, path: str) -> "Value":
        """What a JSON path such as `$.event_name` finds in it; of any other kind of path, all of it."""
        plain = _PLAIN_PATH.fullmatch(path)
        if plain is None:
            return Value(self.direct, self.condition)
        found = self
        for name in plain[1].split("."):
            found = found.get(name)
        return found

    def structured(self, structure: Any) -> "Value":
        """Of a JSON text the fields that a structure such as `{"quantity": "INTEGER"}` names."""
        if not isinstance(structure, dict):
            return self
        fields = {name: self.get(name).structured(inner) for name, inner in structure.items()}
        made = together(fields.values())
        return Value(made.direct, made.condition | self.condition, None, fields)


@dataclass(frozen=True)
class Relation:
    """What a query gives: its columns in order, what decides its rows, and what no two rows share."""

    columns: Mapping[str, Value]
    rows: Columns
    keys: Keys = frozenset()

    @property
    def everything(self) -> Columns:
        """Whatever bears on any of its values."""
        return NOTHING.union(*(value.all for value in self.columns.values()))

    @property
    def is_one_row(self) -> bool:
        """Whether it has one row, whatever it reads."""
        return frozenset() in self.keys

    def is_unique_by(self, columns: frozenset[str]) -> bool:
        """Whether no two of its rows agree in all of these columns."""
        return any(key <= columns for key in self.keys)


def source_column(table: str, column: str) -> Value:
    """A source's column as it stands."""
    place = (table, column)
    return Value(frozenset({place}), NOTHING, place)


def together(values: Iterable[Value]) -> Value:
    """What is made of several values. One alone stays what it is, but not as it stands: something is done to it."""
    direct, condition = NOTHING, NOTHING
    for value in values:
        direct |= value.direct
        condition |= value.condition
    return Value(direct, condition)
