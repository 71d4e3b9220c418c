"""The events of a micro-batch as the window engine reads them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from platform_assets.contracts.windows import PARTITION_KEY_FIELD, WindowDefinition
from platform_assets.windows.columns import MISSING, Hashes, Ints
from streaming.event_columns import TEXT_FIELDS, EventColumns

_MICROSECONDS = 1000


@dataclass(frozen=True)
class Needed:
    """What the definitions read of an event beside the envelope: payload fields, of events with these names."""

    fields: tuple[str, ...]
    event_names: frozenset[str] | None

    @classmethod
    def by(cls, definitions: Sequence[WindowDefinition]) -> "Needed":
        """What these definitions read; the partition key is the envelope's."""
        fields = [
            name
            for definition in definitions
            for name in (definition.key_field, *(aggregate.field for aggregate in definition.aggregates))
            if name != PARTITION_KEY_FIELD
        ]
        names = [definition.event_names for definition in definitions]
        chosen = None if None in names else frozenset().union(*(found for found in names if found is not None))
        return cls(tuple(dict.fromkeys(fields)), chosen)


def needed_by_those_that_take(definitions: Collection[WindowDefinition], names: frozenset[str]) -> Needed:
    """What is read of events among which these names occur: a definition that takes none of them does not ask."""
    return Needed.by([one for one in definitions if one.event_names is None or not one.event_names.isdisjoint(names)])


class WindowColumns:
    """Decoded events behind the engine's `EventColumns`."""

    def __init__(self, events: EventColumns, definitions: Collection[WindowDefinition]) -> None:
        """`definitions` are those that will read them."""
        self._events = events
        self._definitions = definitions

    @property
    def offsets(self) -> Ints:
        """Offsets, ascending."""
        return self._events.offsets

    @cached_property
    def occurred_ms(self) -> Ints:
        """Event time in milliseconds, rounded down."""
        found: Ints = self._events.occurred_us // _MICROSECONDS
        return found

    @cached_property
    def received_ms(self) -> Ints:
        """The server's time in milliseconds, rounded down."""
        found: Ints = self._events.received_us // _MICROSECONDS
        return found

    @property
    def id_hashes(self) -> Hashes:
        """Hashes of the event ids."""
        return self._events.id_hashes

    @property
    def event_names(self) -> Sequence[str]:
        """Names of the events."""
        return self._events.column("event_name")  # type: ignore[return-value]  # the one text that is never null

    @property
    def distinct_event_names(self) -> frozenset[str]:
        """The names that occur."""
        return self._events.distinct_event_names

    def values(self, field: str, event_names: frozenset[str] | None) -> Sequence[Any]:
        """A field of every event: the partition key from the envelope, others from the payload, else the envelope."""
        if field == PARTITION_KEY_FIELD:
            return self._events.column(field)
        return self._payload_values[field]

    @cached_property
    def _payload_values(self) -> dict[str, list[Any]]:
        needed = needed_by_those_that_take(self._definitions, self.distinct_event_names)
        selected = self._events.payload_values(needed.fields, needed.event_names)
        values: dict[str, list[Any]] = dict(selected.columns)
        if len(selected.rows) < len(self._events):
            rows = selected.rows.tolist()
            for name, found in selected.columns.items():
                values[name] = [MISSING] * len(self._events)
                for row, value in zip(rows, found, strict=True):
                    values[name][row] = value
        for name in values.keys() & set(TEXT_FIELDS):
            envelope = self._events.column(name)
            values[name] = [
                text if value is MISSING else value for value, text in zip(values[name], envelope, strict=True)
            ]
        return values


def from_offset(events: EventColumns, first: int) -> EventColumns:
    """The events at this offset and after it."""
    begin = int(np.searchsorted(events.offsets, first))
    return events if begin == 0 else events.take(np.arange(begin, len(events), dtype=np.int64))
