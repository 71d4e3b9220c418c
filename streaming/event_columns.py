"""The accepted events of a micro-batch as columns: what the landing rows and the windows both read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from platform_assets.windows.columns import MISSING
from streaming.id_hashes import hash_ids

TEXT_FIELDS = (
    "event_id",
    "event_type",
    "event_name",
    "user_id",
    "session_id",
    "source_service",
    "correlation_id",
    "traceparent",
)
"""The envelope's fields that are text or null."""


@dataclass(frozen=True)
class SelectedPayloads:
    """Payload fields of some events of a batch; the columns have one entry for each entry of `rows`."""

    rows: NDArray[np.int64]
    """Positions in the batch's columns, ascending."""
    columns: Mapping[str, list[Any]]


@dataclass(frozen=True)
class EventColumns:
    """One entry per accepted event in every column, in ascending order of their offsets.

    Times are microseconds since the epoch. Payloads are JSON objects, checked to the end.
    """

    offsets: NDArray[np.int64]
    occurred_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    schema_versions: NDArray[np.int32] = field(repr=False)
    payloads: pa.BinaryArray = field(repr=False)
    texts: Mapping[str, pa.StringArray] = field(repr=False)
    """By field, each of `TEXT_FIELDS`."""
    values: Mapping[str, list[Any]] = field(default_factory=dict, repr=False)
    """Payload fields that were looked up while the payloads were read, `MISSING` where one has none."""
    whole: "tuple[EventColumns, int] | None" = field(default=None, repr=False)
    """The events that these are a part of, and where they begin in them."""

    def __len__(self) -> int:
        """The number of events."""
        return len(self.offsets)

    def column(self, name: str) -> list[str | None]:
        """The values of a text field of the envelope; raises KeyError for any other name."""
        if name not in self._columns:
            self._columns[name] = self.texts[name].to_pylist()
        return self._columns[name]

    @cached_property
    def _columns(self) -> dict[str, list[str | None]]:
        return {}

    def take(self, rows: NDArray[np.int64]) -> "EventColumns":
        """The events at these positions, in this order."""
        return EventColumns(
            self.offsets[rows],
            self.occurred_us[rows],
            self.received_us[rows],
            self.schema_versions[rows],
            self.payloads.take(pa.array(rows)),
            {name: texts.take(pa.array(rows)) for name, texts in self.texts.items()},
            {name: [values[row] for row in rows.tolist()] for name, values in self.values.items()},
        )

    def part(self, begin: int, end: int, offsets: NDArray[np.int64]) -> "EventColumns":
        """The events at [begin, end), under other offsets."""
        return EventColumns(
            offsets,
            self.occurred_us[begin:end],
            self.received_us[begin:end],
            self.schema_versions[begin:end],
            self.payloads[begin:end],
            {name: texts[begin:end] for name, texts in self.texts.items()},
            {name: values[begin:end] for name, values in self.values.items()},
            whole=(self, begin),
        )

    @cached_property
    def _payload_texts(self) -> list[bytes]:
        texts: list[bytes] = self.payloads.to_pylist()
        return texts

    @cached_property
    def id_hashes(self) -> NDArray[np.uint64]:
        """The event ids as 64-bit hashes that are the same in every process."""
        if self.whole is None:
            return hash_ids(self.texts["event_id"])
        events, begin = self.whole
        return events.id_hashes[begin : begin + len(self)]

    @cached_property
    def distinct_event_names(self) -> frozenset[str]:
        """The names that occur."""
        # To look takes 0.05 ms, whatever their number, and mostly a batch's partitions have one name between them.
        if self.whole is not None and len(self) and len(self.whole[0].distinct_event_names) == 1:
            return self.whole[0].distinct_event_names
        return frozenset(self.texts["event_name"].unique().to_pylist())

    def payload_values(self, fields: Sequence[str], event_names: frozenset[str] | None = None) -> SelectedPayloads:
        """The values of top-level payload fields of the events with one of these names, and maybe of others.

        Values are as JSON has them: text, numbers, booleans, lists, objects; `MISSING` where there is no such field.
        `event_names` None selects all events.
        """
        everything = np.arange(len(self), dtype=np.int64)
        if self.values.keys() >= set(fields):
            return SelectedPayloads(everything, {name: self.values[name] for name in fields})
        if event_names is None:
            rows, chosen = everything, self._payload_texts
        else:
            places = [row for row, name in enumerate(self.column("event_name")) if name in event_names]
            rows, chosen = np.array(places, np.int64), [self._payload_texts[row] for row in places]
        selected = list(map(_selecting_decoder(tuple(fields)).decode, chosen))
        return SelectedPayloads(
            rows, {name: list(map(attrgetter(_slot(n)), selected)) for n, name in enumerate(fields)}
        )


@lru_cache
def _selecting_decoder(fields: tuple[str, ...]) -> msgspec.json.Decoder[Any]:
    """Reads only these fields of an object, whatever they are called, and skips the others."""
    slots = [(_slot(place), Any, MISSING) for place in range(len(fields))]
    names = {_slot(place): name for place, name in enumerate(fields)}
    return msgspec.json.Decoder(msgspec.defstruct("SelectedFields", slots, rename=names, gc=False))


def _slot(place: int) -> str:
    return f"field_{place}"


def in_order_of_offsets(first: EventColumns, second: EventColumns) -> EventColumns:
    """The events of both."""
    offsets = np.concatenate([first.offsets, second.offsets])
    both = EventColumns(
        offsets,
        np.concatenate([first.occurred_us, second.occurred_us]),
        np.concatenate([first.received_us, second.received_us]),
        np.concatenate([first.schema_versions, second.schema_versions]),
        pa.concat_arrays([first.payloads, second.payloads]),
        {name: pa.concat_arrays([first.texts[name], second.texts[name]]) for name in TEXT_FIELDS},
        {name: [*first.values[name], *second.values[name]] for name in first.values.keys() & second.values.keys()},
    )
    return both.take(np.argsort(offsets, kind="stable"))
