"""Conditions on one value in DuckDB's SQL, from what a contract says of a column.

Of a null they are null. `value` is an expression of our own, never a sender's text.
"""

import datetime as dt

from platform_assets.contracts.columns import Column
from platform_assets.quality.sql_text import text_literal


def fits(value: str, column: Column) -> str:
    """True where the value keeps every limit of the column."""
    conditions = [*_text_limits(value, column), *_bounds(value, column)]
    if column.values:
        conditions.append(f"{value} IN ({', '.join(map(text_literal, column.values))})")
    return " AND ".join(conditions) or f"{value} IS NOT NULL"


def text_fits(value: str, column: Column) -> str:
    """True where a text has the column's length and pattern."""
    return " AND ".join(_text_limits(value, column))


def is_within(value: str, column: Column) -> str:
    """True where a number or a moment is within the column's bounds; NaN, to DuckDB the largest number, is not."""
    return " AND ".join(_bounds(value, column))


def has_text_limits(column: Column) -> bool:
    """Whether the column limits its texts."""
    return bool(_text_limits("", column))


def has_bounds(column: Column) -> bool:
    """Whether the column has bounds."""
    return bool(_bounds("", column))


def _text_limits(value: str, column: Column) -> list[str]:
    conditions = []
    if column.shortest is not None:
        conditions.append(f"length({value}) >= {column.shortest}")
    if column.longest is not None:
        conditions.append(f"length({value}) <= {column.longest}")
    if column.pattern is not None:
        conditions.append(f"regexp_full_match({value}, {text_literal(column.pattern)})")
    return conditions


def _bounds(value: str, column: Column) -> list[str]:
    conditions = []
    if column.minimum is not None:
        conditions.append(f"{value} >= {_literal(column.minimum)}")
    if column.maximum is not None:
        conditions.append(f"{value} <= {_literal(column.maximum)}")
    if column.before is not None:
        conditions.append(f"{value} < {_literal(column.before)}")
    return conditions


def _literal(bound: float | dt.datetime) -> str:
    if isinstance(bound, dt.datetime):
        return f"TIMESTAMPTZ {text_literal(bound.isoformat(sep=' '))}"
    return repr(bound)
