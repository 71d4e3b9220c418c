"""Random logs of one to three partitions, and a random way of cutting each into micro-batches."""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from platform_assets.windows.columns import MISSING, Hashes, Ints
from tests.platform_assets.windows.oracle import Record

NOW_MS = 1_790_000_000_000
MONTH_MS = 30 * 24 * 3_600_000
"""A multiple of the deduplication's bucket of 20 s."""

AGGREGATES = (
    Aggregate(name="total", function=AggregateFunction.SUM, field="price"),
    Aggregate(name="least", function=AggregateFunction.MIN, field="price"),
    Aggregate(name="most", function=AggregateFunction.MAX, field="price"),
    Aggregate(name="average", function=AggregateFunction.MEAN, field="price"),
    Aggregate(name="shelves", function=AggregateFunction.APPROX_DISTINCT, field="shelf"),
    Aggregate(name="median", function=AggregateFunction.QUANTILE, field="price", quantile=0.5),
    Aggregate(name="p90", function=AggregateFunction.QUANTILE, field="units", quantile=0.9),
)


@dataclass(frozen=True)
class Stream:
    """A log: its partitions, and the windows to be made of it."""

    partitions: tuple[tuple[Record, ...], ...]
    definitions: tuple[WindowDefinition, ...]


@dataclass(frozen=True)
class RecordColumns:
    """Records as the engine takes them."""

    records: Sequence[Record]

    @property
    def offsets(self) -> Ints:
        return np.array([record.offset for record in self.records], dtype=np.int64)

    @property
    def occurred_ms(self) -> Ints:
        return np.array([record.occurred_ms for record in self.records], dtype=np.int64)

    @property
    def received_ms(self) -> Ints:
        return np.array([record.received_ms for record in self.records], dtype=np.int64)

    @property
    def id_hashes(self) -> Hashes:
        digests = (hashlib.blake2b(record.event_id.encode(), digest_size=8).digest() for record in self.records)
        return np.array([int.from_bytes(digest) for digest in digests], dtype=np.uint64)

    @property
    def event_names(self) -> Sequence[str]:
        return [record.event_name for record in self.records]

    @property
    def distinct_event_names(self) -> frozenset[str]:
        return frozenset(self.event_names)

    def values(self, field: str, event_names: frozenset[str] | None) -> Sequence[Any]:
        return [
            record.fields.get(field, MISSING) if event_names is None or record.event_name in event_names else MISSING
            for record in self.records
        ]


def random_stream(rng: random.Random, window_type: WindowType) -> Stream:
    """Some 40 records whose pace, delays and repetitions are of the order of the windows and the horizon."""
    pace_ms = rng.choice([7, 300, 15_000])
    records = _records(rng, pace_ms)
    partitions: list[list[Record]] = [[] for _ in range(rng.randint(1, 3))]
    for record in records:
        rng.choice(partitions).append(record)
    return Stream(
        tuple(_numbered(rng, partition) for partition in partitions if partition),
        tuple(_definition(rng, window_type, pace_ms, name) for name in ("first", "second")[: rng.randint(1, 2)]),
    )


def random_cuts(rng: random.Random, records: Sequence[Record]) -> list[RecordColumns]:
    """The records as consecutive micro-batches, empty ones among them."""
    cuts = sorted(rng.choices(range(len(records) + 1), k=rng.choice([0, 1, 3, 8])))
    ends = [*cuts, len(records)]
    return [RecordColumns(records[begin:end]) for begin, end in zip([0, *cuts], ends, strict=True)]


def _definition(rng: random.Random, window_type: WindowType, pace_ms: int, name: str) -> WindowDefinition:
    size_ms = max(1, int(pace_ms * rng.uniform(0.5, 12)))
    has_slide = window_type is WindowType.SLIDING and rng.random() < 0.7
    return WindowDefinition(
        name=name,
        key_field=rng.choice(["user_id", "store_id"]),
        window_type=window_type,
        size_ms=size_ms,
        slide_ms=rng.randint(max(1, size_ms // 5), size_ms) if has_slide else None,
        lateness_ms=rng.choice([0, 0, 1, pace_ms, int(pace_ms * rng.uniform(0, 10))]),
        event_names=rng.choice([None, None, frozenset({"bought"}), frozenset({"bought", "seen"})]),
        aggregates=tuple(rng.sample(AGGREGATES, rng.randint(0, len(AGGREGATES)))),
    )


def _records(rng: random.Random, pace_ms: int) -> list[Record]:
    records: list[Record] = []
    age_ms = rng.choice([0, 0, MONTH_MS])
    users = rng.choice([2, 6])
    clock = NOW_MS + rng.randint(0, 100_000)
    for number in range(rng.randint(1, 60)):
        # Long silences cross the horizon of deduplication; servers' clocks do not quite agree.
        clock += rng.choice([40_000, 130_000]) if rng.random() < 0.08 else rng.choice([0, rng.randint(0, 2 * pace_ms)])
        received = clock - rng.choice([0, 0, rng.randint(0, pace_ms)])
        if records and rng.random() < 0.2:
            again = rng.choice(records)
            records.append(Record(0, again.event_id, again.occurred_ms, received, again.event_name, again.fields))
            continue
        late_ms = rng.choice([0, rng.randint(0, pace_ms), rng.randint(0, 20 * pace_ms)])
        odd_ms = rng.choice([MONTH_MS, -3 * pace_ms]) if rng.random() < 0.05 else 0
        records.append(
            Record(
                offset=0,
                event_id=f"event-{number}",
                occurred_ms=received - age_ms - late_ms - odd_ms,
                received_ms=received,
                event_name=rng.choice(["bought", "bought", "seen", "left"]),
                fields=_fields(rng, users),
            )
        )
    return records


def _fields(rng: random.Random, users: int) -> dict[str, Any]:
    fields: dict[str, Any] = {"user_id": rng.choice([None, *[f"user-{user}" for user in range(users)]])}
    if rng.random() < 0.9:
        fields["store_id"] = rng.choice([None, "north", "south"])
    if rng.random() < 0.8:
        fields["price"] = rng.choice([None, 0, 3, -2.5, round(rng.uniform(-50, 50), 2)])
    if rng.random() < 0.8:
        fields["units"] = rng.choice([None, rng.randint(1, 9)])
    if rng.random() < 0.8:
        fields["shelf"] = rng.choice([None, "a", "b", "c", 1, 2.5, True])
    return fields


def _numbered(rng: random.Random, records: Sequence[Record]) -> tuple[Record, ...]:
    """Offsets ascend, with gaps, as in a log that had transactions or was compacted."""
    offset = rng.randint(0, 5)
    numbered = []
    for record in records:
        numbered.append(
            Record(offset, record.event_id, record.occurred_ms, record.received_ms, record.event_name, record.fields)
        )
        offset += rng.choice([1, 1, 1, 4])
    return tuple(numbered)
