"""Rows of data as they may be shown: masked, short, and of plain types."""

import datetime as dt
import decimal
import re
from collections.abc import Collection, Mapping
from typing import Any

MASK = "***"
LONGEST_TEXT = 200

# Parts of names of columns whose values belong to a person or open a door; shown masked whoever asks.
_SENSITIVE = re.compile(
    r"pass(word|wd|phrase)|secret|token|(api|write|private)_?key|credential|authorization|cookie|e_?mail|phone|mobile"
    r"|(^|_)ssn($|_)|passport|iban|card_?number|street|(birth_?(date|day))|(^|_)dob($|_)|(first|last|full|sur)_?name"
    r"|(^|_)ip(_|$)|ip_?address",
    re.IGNORECASE,
)


def shown_values(row: Mapping[str, Any], masked: Collection[str] = ()) -> dict[str, Any]:
    """The row with `masked` columns, and those whose names say that they hold personal data or secrets, as ***."""
    return {
        name: MASK if value is not None and (name in masked or _SENSITIVE.search(name)) else shown_value(value)
        for name, value in row.items()
    }


def shown_value(value: Any) -> Any:
    """A value that JSON can hold, no longer than a line or two."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)  # JSON has no NaN and no infinity
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"<{len(value)} bytes>"
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}…"
