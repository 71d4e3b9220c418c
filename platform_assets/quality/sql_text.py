"""The parts of SQL text that are not constants: quoted names, bound values, and the kinds of column types."""

from typing import Any

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
_NUMBERS = (*_INTEGERS, *(f"U{name}" for name in _INTEGERS), "FLOAT", "DOUBLE", "DECIMAL")
_MOMENTS = ("DATE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")


def quoted(identifier: str) -> str:
    """An SQL identifier, whatever characters it has."""
    return '"' + identifier.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """An SQL text, for where a value cannot be bound; within it only the quote means something to DuckDB."""
    return "'" + text.replace("'", "''") + "'"


class Bindings:
    """Collects the values of a statement; the text gets their names."""

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        self.values: dict[str, Any] = dict(values or {})

    def add(self, value: Any) -> str:
        """The parameter that stands for the value."""
        name = f"value_{len(self.values)}"
        self.values[name] = value
        return f"${name}"


def is_number(data_type: str) -> bool:
    """Whether a column of this type holds numbers."""
    return data_type.partition("(")[0] in _NUMBERS


def is_float(data_type: str) -> bool:
    """Whether a column of this type may hold NaN."""
    return data_type in ("FLOAT", "DOUBLE")


def is_moment(data_type: str) -> bool:
    """Whether a column of this type holds dates or times of a date."""
    return data_type in _MOMENTS
