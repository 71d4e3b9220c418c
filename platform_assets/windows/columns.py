"""What the engine is given: the records of one partition in log order, as columns."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Hashes = NDArray[np.uint64]
Mask = NDArray[np.bool_]


class Missing:
    """The type of `MISSING`, of which there is one."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING = Missing()
"""Stands where a record has no such field; a field that is there and null is None."""


class EventColumns(Protocol):
    """n records of one partition, ascending by offset. Times are milliseconds since the epoch."""

    @property
    def offsets(self) -> Ints:
        """Their offsets, ascending, not necessarily dense."""
        ...

    @property
    def occurred_ms(self) -> Ints:
        """Event time: what windows are cut by."""
        ...

    @property
    def received_ms(self) -> Ints:
        """The server's time: caps what an event may do to the watermark, and is the clock of deduplication."""
        ...

    @property
    def id_hashes(self) -> Hashes:
        """64-bit hashes of the event ids."""
        ...

    @property
    def event_names(self) -> Sequence[str]:
        """Names of the events."""
        ...

    @property
    def distinct_event_names(self) -> frozenset[str]:
        """The names that occur."""
        ...

    def values(self, field: str, event_names: frozenset[str] | None) -> Sequence[Any]:
        """A field of every record: from the payload, else from the envelope, else MISSING.

        Where `event_names` is given, records of other names may be MISSING whatever they hold.
        """
        ...


def numbers(values: Sequence[Any]) -> Floats:
    """The numbers among JSON values; NaN stands for null, MISSING, text and whatever a float cannot hold."""
    if set(map(type, values)) <= _NUMERIC:
        try:
            return np.array(values, dtype=np.float64)
        except OverflowError:
            pass
    return np.array([_number(value) for value in values], dtype=np.float64)


_NUMERIC = {int, float, type(None)}


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        return np.nan
    try:
        number = float(value)
    except OverflowError:
        return np.nan
    return number if np.isfinite(number) else np.nan


def key_text(value: Any) -> str | Missing | None:
    """A window's key: text as it is, numbers and booleans as JSON writes them; lists and objects are no keys."""
    if value is None or type(value) is str or value is MISSING:
        return value  # type: ignore[no-any-return]
    if type(value) is bool:
        return "true" if value else "false"
    if type(value) in (int, float):
        return repr(value)
    return MISSING
