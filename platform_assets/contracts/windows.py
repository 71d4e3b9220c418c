"""Windows over the event stream: what a definition says, and what a record of `windows.v1` holds.

A definition is written once, in `WINDOWS`; the stream worker, the batch recomputation and the tests read it there.
"""

import enum
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from platform_assets.contracts.payloads import PURCHASE_LINE

PARTITION_KEY_FIELD = "user_id"
"""Windows on this envelope field need no repartitioning: one user's events stand on one partition."""


class WindowType(enum.StrEnum):
    """How time is cut. Every window is [start, end); tumbling and sliding ones are aligned to the epoch."""

    TUMBLING = "tumbling"
    SLIDING = "sliding"
    SESSION = "session"


class AggregateFunction(enum.StrEnum):
    """What is computed of a field's values in a window. All merge; events without the field do not count in."""

    SUM = "sum"
    MIN = "min"
    MAX = "max"
    MEAN = "mean"
    APPROX_DISTINCT = "approx_distinct"
    QUANTILE = "quantile"


@dataclass(frozen=True, kw_only=True)
class Aggregate:
    """One aggregate. `field` is looked up in the payload, then in the envelope; `quantile` is in (0, 1)."""

    name: str
    function: AggregateFunction
    field: str
    quantile: float | None = None

    def __post_init__(self) -> None:
        if (self.function is AggregateFunction.QUANTILE) != (self.quantile is not None):
            raise ValueError(f"Aggregate {self.name}: a quantile, and nothing else, names which one it is.")
        if self.quantile is not None and not 0 < self.quantile < 1:
            raise ValueError(f"Aggregate {self.name}: the quantile {self.quantile} is not between 0 and 1.")


@dataclass(frozen=True, kw_only=True)
class WindowDefinition:
    """One windowed aggregation; every window counts its events, whatever else it aggregates.

    `key_field` user_id is the envelope's, which decides the partition; any other is looked up in the payload, then in
    the envelope. A field that is there and null is the null key; an event that has it in neither is left out.
    `size_ms` is the length, for sessions the gap of silence that ends one; `slide_ms` is for sliding windows only and
    half the size by default. An event is late for a window once the partition's watermark has reached the window's end
    plus `lateness_ms`. `event_names` None means every event. Times in milliseconds; sub-second sizes are fine.
    """

    name: str
    key_field: str
    window_type: WindowType
    size_ms: int
    slide_ms: int | None = None
    lateness_ms: int = 0
    event_names: frozenset[str] | None = None
    aggregates: tuple[Aggregate, ...] = ()
    version: int = 1
    description: str = ""

    def __post_init__(self) -> None:
        if self.size_ms <= 0:
            raise ValueError(f"Window {self.name}: the size must be positive, not {self.size_ms} ms.")
        if self.slide_ms is not None and self.window_type is not WindowType.SLIDING:
            raise ValueError(f"Window {self.name}: only sliding windows have a slide.")
        if self.slide_ms is not None and not 0 < self.slide_ms <= self.size_ms:
            raise ValueError(f"Window {self.name}: the slide must be from 1 ms to the size, not {self.slide_ms} ms.")
        if self.lateness_ms < 0:
            raise ValueError(f"Window {self.name}: the allowed lateness must not be negative.")
        names = [aggregate.name for aggregate in self.aggregates]
        if len(set(names)) != len(names):
            raise ValueError(f"Window {self.name} names an aggregate twice: {', '.join(names)}.")

    @property
    def hop_ms(self) -> int:
        """The distance between two window starts; for sessions the gap."""
        if self.window_type is not WindowType.SLIDING:
            return self.size_ms
        return self.slide_ms if self.slide_ms is not None else max(1, self.size_ms // 2)

    @property
    def aggregate_names(self) -> tuple[str, ...]:
        """The names of the aggregates, in the order of a result's values."""
        return tuple(aggregate.name for aggregate in self.aggregates)

    @property
    def fingerprint(self) -> str:
        """Differs where results do: state that another fingerprint left behind is of no use."""
        meaning = [
            self.key_field,
            self.window_type,
            self.size_ms,
            self.hop_ms,
            self.lateness_ms,
            None if self.event_names is None else sorted(self.event_names),
            [
                (aggregate.name, aggregate.function, aggregate.field, aggregate.quantile)
                for aggregate in self.aggregates
            ],
            self.version,
        ]
        return hashlib.sha256(_encoder.encode(meaning)).hexdigest()[:16]

    @property
    def is_partitioned_like_the_topic(self) -> bool:
        """Whether all events of one key stand on one partition of `events.v1`."""
        return self.key_field == PARTITION_KEY_FIELD


class UpdateKind(enum.StrEnum):
    """Whether a result may still change."""

    CHANGE = "change"
    FINAL = "final"


class WindowUpdates(msgspec.Struct, frozen=True, kw_only=True):
    """One record of `windows.v1`: the windows of one definition that a micro-batch of one partition changed or closed.

    A row is [key, start_ms, end_ms, count, *values], the values in the order of `aggregates`; the key is null where
    the event had none. A change holds the window's state so far, not the difference: the newest one of a (key, start)
    wins, and a repeated one says the same again. A final result comes once per pass over the log and never differs
    between passes. Everything of the source partition below `next_offset` is contained.
    """

    window: str
    version: int
    kind: UpdateKind
    source_topic: str
    source_log: str
    source_partition: int
    next_offset: int
    watermark_ms: int | None
    emitted_ms: int
    aggregates: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class PartUpdates(msgspec.Struct, frozen=True, kw_only=True):
    """One record of `windows.partials.v1`: what one source partition has of some windows on another key than its own.

    A row is [key, start_ms, end_ms, count, *state], the state's columns in the order of `columns`. It is the whole of
    what the source has of that window as of `next_offset`, not the difference to what it had; a count of 0 withdraws
    it, and a final one does not change any more. `watermark_ms` is null where more records of the same emission follow.
    MessagePack, since sketches are bytes.
    """

    window: str
    version: int
    kind: UpdateKind
    source_topic: str
    source_log: str
    source_partition: int
    source_partitions: int
    next_offset: int
    watermark_ms: int | None
    is_idle: bool
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class LateEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One record of `events.late.v1`: an event that came after the end of at least one of its windows.

    It is counted in none of `windows` (names of definitions); the raw event lands like any other.
    """

    event_id: str
    event_name: str
    user_id: str | None
    occurred_ms: int
    received_ms: int
    watermark_ms: int
    windows: tuple[str, ...]
    source_topic: str
    source_log: str
    source_partition: int
    source_offset: int


def late_event_id(late: LateEvent) -> str:
    """The place of the event, so that a second pass over the log makes the same one."""
    return f"{late.source_topic}/{late.source_log}/{late.source_partition}/{late.source_offset}"


def window_result_id(  # noqa: PLR0917 - the parts of the id in their order
    window: str, version: int, source: str, key: str | None, start_ms: int, end_ms: int
) -> str:
    """Identifies one window of one key; `source` is the log and partition that it was computed from.

    The end is a part of it: a session can begin where one that has ended began.
    """
    return f"{window}/{version}/{source}/{'-' if key is None else '=' + key}/{start_ms}-{end_ms}"


_encoder = msgspec.json.Encoder()
_updates_decoder = msgspec.json.Decoder(WindowUpdates)
_packer = msgspec.msgpack.Encoder()
_parts_decoder = msgspec.msgpack.Decoder(PartUpdates)
_late_decoder = msgspec.json.Decoder(LateEvent)


def encode_updates(updates: WindowUpdates) -> bytes:
    """The bytes of a record of `windows.v1`."""
    return _encoder.encode(updates)


def decode_updates(value: bytes) -> WindowUpdates:
    """The inverse of `encode_updates`. Raises msgspec.MsgspecError."""
    return _updates_decoder.decode(value)


def encode_parts(parts: PartUpdates) -> bytes:
    """The bytes of a record of `windows.partials.v1`."""
    return _packer.encode(parts)


def decode_parts(value: bytes) -> PartUpdates:
    """The inverse of `encode_parts`. Raises msgspec.MsgspecError."""
    return _parts_decoder.decode(value)


def encode_late(late: LateEvent) -> bytes:
    """The bytes of a record of `events.late.v1`."""
    return _encoder.encode(late)


def decode_late(value: bytes) -> LateEvent:
    """The inverse of `encode_late`. Raises msgspec.MsgspecError."""
    return _late_decoder.decode(value)


def _sum(name: str, field: str) -> Aggregate:
    return Aggregate(name=name, function=AggregateFunction.SUM, field=field)


_PURCHASES = frozenset({PURCHASE_LINE})

WINDOWS: tuple[WindowDefinition, ...] = (
    WindowDefinition(
        name="user_activity_1m",
        key_field="user_id",
        window_type=WindowType.TUMBLING,
        size_ms=60_000,
        aggregates=(_sum("sales", "sales_value"),),
        description="One row per user and minute: events, and dollars spent.",
    ),
    WindowDefinition(
        name="user_session_30m",
        key_field="user_id",
        window_type=WindowType.SESSION,
        size_ms=30 * 60_000,
        event_names=_PURCHASES,
        aggregates=(_sum("sales", "sales_value"), _sum("units", "quantity")),
        description="One row per user and shopping session, ended by 30 minutes without a purchase line.",
    ),
    WindowDefinition(
        name="store_sales_1h",
        key_field="store_id",
        window_type=WindowType.TUMBLING,
        size_ms=3_600_000,
        event_names=_PURCHASES,
        aggregates=(
            _sum("sales", "sales_value"),
            Aggregate(name="shoppers", function=AggregateFunction.APPROX_DISTINCT, field="user_id"),
            Aggregate(name="sales_p50", function=AggregateFunction.QUANTILE, field="sales_value", quantile=0.5),
        ),
        description="One row per store and hour, over all partitions.",
    ),
)
"""The windows that the platform's worker keeps."""

if len({definition.name for definition in WINDOWS}) != len(WINDOWS):
    raise ValueError("Two windows have one name.")
