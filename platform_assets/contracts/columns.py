"""What a contract says of one column, read off the msgspec types in which it is written.

A pandera schema, SQL conditions, dbt's YAML and the contract's document are all made from these.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import inspect


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column. `kind` is a logical type of `landing`; bounds are inclusive but for `before`; lengths in characters.

    `pattern` is a regular expression for the whole text, in what Python and RE2 have in common.
    """

    name: str
    kind: str
    description: str = ""
    required: bool = True
    """Whether it is never null."""
    may_be_absent: bool = False
    """Of a field of JSON: whether it may be left out."""
    values: tuple[str, ...] = ()
    shortest: int | None = None
    longest: int | None = None
    pattern: str | None = None
    minimum: int | float | dt.datetime | None = None
    maximum: int | float | None = None
    before: dt.datetime | None = None


def column_of(name: str, annotation: Any, kind: str, description: str = "") -> Column:
    """The column that holds values of a msgspec annotation.

    Raises:
        TypeError: the annotation says something that no rule of a column can.
    """
    kinds = inspect.type_info(annotation)
    parts = kinds.types if isinstance(kinds, inspect.UnionType) else (kinds,)
    values = [part for part in parts if not isinstance(part, inspect.NoneType)]
    if len(values) != 1:
        raise TypeError(f"{name}: a column holds values of one type, not {annotation}")
    return Column(
        name=name, kind=kind, description=description, required=len(parts) == len(values), **_limits(name, values[0])
    )


def fields_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """The annotations of a struct's fields by name."""
    return {field.name: field.type for field in msgspec.structs.fields(struct)}


def _limits(name: str, value: inspect.Type) -> dict[str, Any]:
    match value:
        case inspect.Metadata():
            return _limits(name, value.type)
        case inspect.StrType():
            return {
                "shortest": value.min_length,
                "longest": value.max_length,
                "pattern": None if value.pattern is None else whole_text(value.pattern),
            }
        case inspect.EnumType():
            return {"values": tuple(member.value for member in value.cls)}
        case inspect.IntType() | inspect.FloatType():
            if value.gt is not None or value.lt is not None or value.multiple_of is not None:
                raise TypeError(f"{name}: give inclusive bounds; a column knows no others")
            return {"minimum": value.ge, "maximum": value.le}
        case inspect.DateTimeType() | inspect.DateType():
            return {}
        case inspect.DictType() | inspect.VarTupleType():
            return {}  # held as the text of its JSON
        case _:
            raise TypeError(f"{name}: a column cannot hold {type(value).__name__}")


def whole_text(pattern: str) -> str:
    """A contract's pattern, `^…\\Z`, for functions that match the whole text.

    Raises:
        TypeError: the pattern does not match whole texts.
    """
    if not (pattern.startswith("^") and pattern.endswith(r"\Z")):
        raise TypeError(rf"The pattern {pattern} must begin with ^ and end with \Z: $ lets a line break pass")
    return pattern[1:-2]
