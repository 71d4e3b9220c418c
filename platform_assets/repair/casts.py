"""Turns a value of one JSON type into another, without guessing: what is not clearly meant is refused."""

import datetime as dt
import enum
import math
import re
import zoneinfo
from typing import Any

_INTEGER = re.compile(r"[+-]?\d{1,30}\Z")
_NUMBER = re.compile(r"[+-]?\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,3})?\Z")
_UNITS = {"s": 1, "ms": 1_000, "us": 1_000_000}


class Kind(enum.StrEnum):
    """What a value becomes."""

    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"


class CannotCast(ValueError):
    """The value is not clearly one of the wanted kind. The message holds no value: it may be secret."""


def cast(value: Any, kind: Kind, *, unit: str = "s", zone: str = "UTC") -> Any:
    """The value as another kind; null stays null.

    A timestamp comes from a number of `unit`s since 1970, or from ISO 8601 text, which without an offset is a time of
    `zone`; it becomes ISO 8601 with an offset.

    Raises:
        CannotCast: see there.
    """
    if value is None:
        return None
    try:
        match kind:
            case Kind.INTEGER:
                return _integer(value)
            case Kind.NUMBER:
                return _number(value)
            case Kind.STRING:
                return _string(value)
            case Kind.BOOLEAN:
                return _boolean(value)
            case Kind.TIMESTAMP:
                return _timestamp(value, unit, zone)
    except (ValueError, OverflowError):
        raise CannotCast(f"this {_name(value)} is not clearly one {kind}") from None


def check_zone(zone: str) -> None:
    """Raises ValueError for a time zone that nobody knows."""
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{zone!r} is not the name of a time zone such as Europe/Berlin") from None


def check_unit(unit: str) -> None:
    """Raises ValueError for another unit than s, ms and us."""
    if unit not in _UNITS:
        raise ValueError(f"{unit!r} is not one of {', '.join(_UNITS)}")


def _integer(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.match(value.strip()):
        return int(value)
    raise ValueError


def _number(value: Any) -> int | float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _NUMBER.match(value.strip()):
        number = float(value)
        if math.isfinite(number):
            return number
    raise ValueError


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    raise ValueError


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in {"true", "false"}:
        return value.strip().lower() == "true"
    if isinstance(value, int) and value in (0, 1):
        return value == 1
    raise ValueError


def _timestamp(value: Any, unit: str, zone: str) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return dt.datetime.fromtimestamp(value / _UNITS[unit], dt.UTC).isoformat()
    if isinstance(value, str):
        moment = dt.datetime.fromisoformat(value.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=zoneinfo.ZoneInfo(zone))).isoformat()
    raise ValueError


def _name(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "array", dict: "object"}
    return names.get(type(value), "value")
