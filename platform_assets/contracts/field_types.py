"""What a struct's fields may hold, in plain words of JSON, for people and for comparisons."""

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

_NAMES: dict[type[inspect.Type], str] = {
    inspect.StrType: "string",
    inspect.BoolType: "boolean",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.DateTimeType: "timestamp",
    inspect.DateType: "date",
    inspect.DictType: "object",
    inspect.EnumType: "string",
    inspect.AnyType: "any",
    inspect.BytesType: "bytes",
}
_LIMITS = {
    "min_length": "shortest",
    "max_length": "longest",
    "pattern": "pattern",
    "ge": "minimum",
    "le": "maximum",
    "gt": "above",
    "lt": "below",
    "multiple_of": "multiple_of",
}


def described_fields(struct: type[msgspec.Struct], prefix: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field's name as it is written in JSON, and what it may hold; those of a struct inside as `outer.inner`."""
    kind = inspect.type_info(struct)
    if not isinstance(kind, inspect.StructType):
        raise TypeError(f"{struct.__name__} is no struct")
    for field in kind.fields:
        name = f"{prefix}{field.encode_name}"
        described = _described(field.type) | {"may_be_absent": not field.required}
        yield name, described
        for part in _alternatives(field.type):
            if isinstance(part, inspect.StructType):
                yield from described_fields(part.cls, f"{name}.")


def _described(kind: inspect.Type) -> dict[str, Any]:
    parts = [part for part in _alternatives(kind) if not isinstance(part, inspect.NoneType)]
    described: dict[str, Any] = {
        "type": " or ".join(sorted({_type_name(part) for part in parts})),
        "nullable": len(parts) < len(_alternatives(kind)) or any(isinstance(part, inspect.AnyType) for part in parts),
    }
    # Limits of alternatives are told apart by nobody; there are none in this contract.
    if len(parts) == 1:
        described |= _limits(parts[0])
    return described


def _alternatives(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    if isinstance(kind, inspect.Metadata):
        return _alternatives(kind.type)
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _type_name(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.StructType):
        return "object"
    if isinstance(kind, inspect.ListType | inspect.VarTupleType | inspect.SetType | inspect.FrozenSetType):
        return f"array of {_described(kind.item_type)['type']}"
    return _NAMES.get(type(kind), type(kind).__name__)


def _limits(kind: inspect.Type) -> dict[str, Any]:
    limits = {
        name: value for attribute, name in _LIMITS.items() if (value := getattr(kind, attribute, None)) is not None
    }
    if isinstance(kind, inspect.EnumType):
        limits["values"] = sorted(str(member.value) for member in kind.cls)
    if isinstance(kind, inspect.LiteralType):
        limits["values"] = sorted(map(str, kind.values))
    return limits
