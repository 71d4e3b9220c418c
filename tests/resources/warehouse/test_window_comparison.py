"""Windows recomputed from landed events; what the stream should have said is written by hand."""

import datetime as dt
import json
from collections.abc import Sequence
from typing import Any

import pytest

from platform_assets.contracts.topics import PARTIALS
from platform_assets.contracts.windows import Aggregate, AggregateFunction, WindowDefinition, WindowType
from resources.landing_zone import LandingZone
from resources.warehouse import Warehouse
from resources.warehouse.landed_tables import LANDED_TABLES
from resources.warehouse.landing_loads import load_landed
from resources.warehouse.window_comparison import WindowComparison, compare_windows
from tests.landed_records import LOG, event, land_events, land_late_events, land_windows, late_event, window_result

NOON = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)

FIVE_FUNCTIONS = tuple(
    Aggregate(name=function.value, function=function, field="amount")
    for function in AggregateFunction
    if function not in (AggregateFunction.QUANTILE, AggregateFunction.APPROX_DISTINCT)
)
MINUTES = WindowDefinition(
    name="minutes", key_field="user_id", window_type=WindowType.TUMBLING, size_ms=60_000, aggregates=FIVE_FUNCTIONS
)
SLIDING = WindowDefinition(
    name="sliding", key_field="user_id", window_type=WindowType.SLIDING, size_ms=60_000, slide_ms=20_000
)
SESSIONS = WindowDefinition(name="sessions", key_field="user_id", window_type=WindowType.SESSION, size_ms=10_000)
PER_STORE = WindowDefinition(
    name="per_store",
    key_field="store",
    window_type=WindowType.TUMBLING,
    size_ms=60_000,
    aggregates=(
        Aggregate(name="amount", function=AggregateFunction.SUM, field="amount"),
        Aggregate(name="users", function=AggregateFunction.APPROX_DISTINCT, field="user_id"),
        Aggregate(name="middle", function=AggregateFunction.QUANTILE, field="amount", quantile=0.5),
    ),
)


def at(seconds: float) -> dt.datetime:
    """A moment after noon."""
    return NOON + dt.timedelta(seconds=seconds)


def seen(offset: int, seconds: float, amount: float | None = None, *, user: str | None = "u", **fields: Any) -> Any:
    """An event of a user; it was received as it occurred unless told otherwise."""
    payload = {} if amount is None else {"amount": amount}
    row = {"user_id": user, "occurred_at": at(seconds), "received_at": at(seconds), "payload": json.dumps(payload)}
    return event(offset, **{**row, **fields})


def final(window: WindowDefinition, start: float, count: int, *, reached: float, **fields: Any) -> Any:
    """What the stream says of a window that starts so many seconds after noon; `reached` is its watermark."""
    values = fields.pop("values", {})
    size = dt.timedelta(milliseconds=fields.pop("length_ms", window.size_ms))
    return window_result(
        0,
        window.name,
        fields.pop("user", "u"),
        at(start),
        size,
        **{
            "event_count": count,
            "aggregates": json.dumps(values),
            "watermark": at(reached),
            "emitted_at": at(reached),
            **fields,
        },
    )


def amounts(*values: float) -> dict[str, float | None]:
    if not values:
        return dict.fromkeys(("sum", "min", "max", "mean"))
    return {"sum": sum(values), "min": min(values), "max": max(values), "mean": sum(values) / len(values)}


class Stream:
    """Lands what a test says, loads it and compares."""

    def __init__(self, warehouse: Warehouse, landing: LandingZone) -> None:
        self._warehouse = warehouse
        self._landing = landing

    def compare(
        self,
        definition: WindowDefinition,
        events: Sequence[dict[str, Any]],
        finals: Sequence[dict[str, Any]],
        late: Sequence[dict[str, Any]] = (),
    ) -> WindowComparison:
        for log, partition in sorted({(row["log"], row["kafka_partition"]) for row in events}):
            rows = [row for row in events if (row["log"], row["kafka_partition"]) == (log, partition)]
            land_events(self._landing, rows, covers=(0, 999))
        if finals:
            land_windows(self._landing, finals)
        if late:
            land_late_events(self._landing, late)
        return self.load_and_compare(definition)

    def load_and_compare(self, definition: WindowDefinition) -> WindowComparison:
        with self._warehouse.write("load") as connection:
            for table in LANDED_TABLES:
                load_landed(connection, self._landing, table)
        with self._warehouse.read() as connection:
            (result,) = compare_windows(connection, [definition])
        return result


@pytest.fixture
def stream(warehouse: Warehouse, landing: LandingZone) -> Stream:
    return Stream(warehouse, landing)


def shown(result: WindowComparison) -> list[tuple[Any, ...]]:
    return [(row["verdict"], row["key"], row["window_start"][11:19]) for row in result.wrong]


# Two minutes of one user: out of order, with an amount of two, and a third minute that is still open.
MINUTE_EVENTS = [seen(0, 50, 1.5), seen(1, 10, 2.25), seen(2, 61), seen(3, 125, 7.0)]
MINUTE_FINALS = [
    final(MINUTES, 0, 2, reached=61, values=amounts(1.5, 2.25)),
    final(MINUTES, 60, 1, reached=125, values=amounts()),
]


def test_windows_that_hold_what_the_events_say_are_equal_and_open_ones_are_left_out(stream: Stream) -> None:
    result = stream.compare(MINUTES, MINUTE_EVENTS, MINUTE_FINALS)
    assert (result.equal, result.open, result.is_equal) == (2, 1, True)
    assert result.wrong == []


@pytest.mark.parametrize("name", ["sum", "min", "max", "mean"])
def test_changed_value_is_found(stream: Stream, name: str) -> None:
    wrong = {**amounts(1.5, 2.25), name: 9.0}
    result = stream.compare(MINUTES, MINUTE_EVENTS, [final(MINUTES, 0, 2, reached=61, values=wrong), MINUTE_FINALS[1]])
    assert shown(result) == [("differing", "u", "12:00:00")]
    assert json.loads(result.wrong[0]["expected_values"]) == amounts(1.5, 2.25)


def test_sum_in_another_order_is_equal_and_a_value_where_there_is_none_differs(stream: Stream) -> None:
    near = {**amounts(1.5, 2.25), "sum": 3.75 * (1 + 1e-12)}
    result = stream.compare(
        MINUTES,
        MINUTE_EVENTS,
        [final(MINUTES, 0, 2, reached=61, values=near), final(MINUTES, 60, 1, reached=125, values=amounts(0.0))],
    )
    assert shown(result) == [("differing", "u", "12:01:00")]


def test_changed_count_missing_window_and_surplus_windows_are_found(stream: Stream) -> None:
    """A window of nobody, and one of a user who has others."""
    result = stream.compare(
        MINUTES,
        MINUTE_EVENTS,
        [
            final(MINUTES, 60, 2, reached=125, values=amounts()),
            final(MINUTES, -60, 1, reached=61, values=amounts()),
            final(MINUTES, 0, 1, reached=61, user="nobody", values=amounts()),
        ],
    )
    assert shown(result) == [
        ("surplus", "u", "11:59:00"),
        ("surplus", "nobody", "12:00:00"),
        ("missing", "u", "12:00:00"),
        ("differing", "u", "12:01:00"),
    ]
    assert (result.missing, result.surplus, result.differing, result.is_equal) == (1, 2, 1, False)
    assert (result.wrong[3]["expected_count"], result.wrong[3]["found_count"]) == (1, 2)


def test_window_that_was_closed_before_the_watermark_got_there_is_found(stream: Stream) -> None:
    early = final(MINUTES, 0, 2, reached=59, values=amounts(1.5, 2.25))
    assert shown(stream.compare(MINUTES, MINUTE_EVENTS, [early, MINUTE_FINALS[1]])) == [
        ("closed_early", "u", "12:00:00")
    ]


LATE = seen(4, 30, 100.0)


def test_late_event_is_not_counted_and_one_that_the_stream_counted_is_found(stream: Stream) -> None:
    """It met a watermark of 125 s, beyond the end of its minute; the stream put it aside, and counted it as well."""
    late = late_event(0, source_offset=4, watermark=at(125), windows='["minutes"]')
    counted = final(MINUTES, 0, 3, reached=61, values=amounts(1.5, 2.25, 100.0))
    result = stream.compare(MINUTES, [*MINUTE_EVENTS, LATE], [counted, MINUTE_FINALS[1]], [late])
    assert shown(result) == [("differing", "u", "12:00:00")]
    assert result.misjudged == 0


def test_late_event_that_was_put_aside_leaves_its_window_equal(stream: Stream) -> None:
    late = late_event(0, source_offset=4, watermark=at(125), windows='["minutes"]')
    assert stream.compare(MINUTES, [*MINUTE_EVENTS, LATE], MINUTE_FINALS, [late]).is_equal


def test_late_event_without_its_record_and_a_record_of_one_that_was_not_late_are_found(stream: Stream) -> None:
    assert stream.compare(MINUTES, [*MINUTE_EVENTS, LATE], MINUTE_FINALS).misjudged == 1


def test_event_that_was_put_aside_too_early_is_found(stream: Stream) -> None:
    """The second event met a watermark of 50 s, before the end of its minute."""
    late = late_event(0, source_offset=1, watermark=at(50), windows='["minutes"]')
    finals = [final(MINUTES, 0, 1, reached=61, values=amounts(1.5)), MINUTE_FINALS[1]]
    result = stream.compare(MINUTES, MINUTE_EVENTS, finals, [late])
    assert (result.misjudged, result.is_equal) == (1, False)


def test_allowed_lateness_keeps_a_window_open(stream: Stream) -> None:
    """With a lateness of 30 s the first minute is over at 90 s: an event at 61 s does not end it."""
    patient = WindowDefinition(
        name="minutes", key_field="user_id", window_type=WindowType.TUMBLING, size_ms=60_000, lateness_ms=30_000
    )
    events = [seen(0, 50), seen(1, 61), seen(2, 10), seen(3, 95), seen(4, 96)]
    result = stream.compare(patient, events, [final(patient, 0, 2, reached=95)])
    assert (result.equal, result.open, result.is_equal) == (1, 1, True)


def test_repeats_count_once_within_the_horizon_and_again_after_it(stream: Stream) -> None:
    """The id comes at 0 s and 5 s, and once more eight buckets of 20 s later; the warehouse keeps one of the three.

    The repeat was stamped earlier than the first on the log, so that the warehouse keeps the repeat.
    """
    events = [
        seen(0, 2, 1.0, event_id="a", received_at=at(2)),
        seen(1, 5, 2.0, event_id="a", received_at=at(1)),
        seen(2, 165, 4.0, event_id="a"),
        seen(3, 400, 0.0),
    ]
    finals = [
        final(MINUTES, 0, 1, reached=165, values=amounts(1.0)),
        final(MINUTES, 120, 1, reached=400, values=amounts(4.0)),
    ]
    assert stream.compare(MINUTES, events, finals).is_equal


def test_repeat_that_the_stream_counted_is_found(stream: Stream) -> None:
    events = [seen(0, 2, event_id="a"), seen(1, 5, event_id="a"), seen(2, 61)]
    result = stream.compare(MINUTES, events, [final(MINUTES, 0, 2, reached=61, values=amounts())])
    assert shown(result) == [("differing", "u", "12:00:00")]


def test_partitions_and_incarnations_count_for_themselves(stream: Stream) -> None:
    """One id on two partitions and on two logs counts in each; so does the null key of each partition."""
    events = []
    finals = []
    for log, partition in ((LOG, 0), (LOG, 1), ("later", 0)):
        for offset, (seconds, user, event_id) in enumerate(
            [(1, "u", "same"), (2, None, f"{log}-{partition}"), (70, "u", None)]
        ):
            events.append(seen(offset, seconds, user=user, event_id=event_id, partition=partition, log=log))
        of: dict[str, Any] = {"source_log": log, "source_partition": partition, "values": amounts(), "reached": 70}
        finals += [final(MINUTES, 0, 1, **of), final(MINUTES, 0, 1, user=None, **of)]
    result = stream.compare(MINUTES, events, finals[:-1])
    assert shown(result) == [("missing", None, "12:00:00")]
    assert result.wrong[0]["place"] == "later/0"
    assert result.equal == 5


def test_partition_is_compared_as_far_as_the_stream_had_got(stream: Stream) -> None:
    """The result says that offsets below 2 were read; the third event, though of the same minute, is not awaited."""
    events = [seen(0, 5), seen(1, 61), seen(2, 62), seen(3, 200)]
    result = stream.compare(MINUTES, events, [final(MINUTES, 0, 1, reached=61, next_offset=2, values=amounts())])
    assert (result.equal, result.open, result.is_equal) == (1, 1, True)


def test_result_whose_events_are_not_loaded_or_that_is_too_new_waits(stream: Stream) -> None:
    finals = [
        final(MINUTES, 0, 2, reached=61, next_offset=2000, values=amounts(1.5, 2.25)),
        final(MINUTES, 60, 9, reached=125, emitted_at=dt.datetime.now(dt.UTC), values=amounts()),
    ]
    result = stream.compare(MINUTES, MINUTE_EVENTS, finals)
    assert (result.unsettled, result.equal, result.is_equal) == (2, 0, True)


def test_other_version_of_a_definition_is_not_compared(stream: Stream) -> None:
    assert stream.compare(
        MINUTES, MINUTE_EVENTS, [*MINUTE_FINALS, final(MINUTES, 0, 9, reached=61, version=7)]
    ).is_equal


def test_sliding_windows_of_an_event_are_those_that_were_open_when_it_came(stream: Stream) -> None:
    """An event at 65 s has the windows of 20, 40 and 60 s. The last event, at 45 s, met a watermark of 85 s: over for
    the windows of 0 and 20 s, it counts in that of 40 s alone, and is not late."""
    events = [seen(0, 65), seen(1, 85), seen(2, 45), seen(3, 200)]
    finals = [
        final(SLIDING, 20, 1, reached=85),
        final(SLIDING, 40, 3, reached=200),
        final(SLIDING, 60, 2, reached=200),
        final(SLIDING, 80, 1, reached=200),
    ]
    result = stream.compare(SLIDING, events, finals)
    assert (result.equal, result.open, result.misjudged, result.is_equal) == (4, 3, 0, True)


def test_sliding_window_that_counted_an_event_after_its_end_is_found(stream: Stream) -> None:
    events = [seen(0, 65), seen(1, 85), seen(2, 45), seen(3, 200)]
    finals = [
        final(SLIDING, 20, 2, reached=85),
        final(SLIDING, 40, 3, reached=200),
        final(SLIDING, 60, 2, reached=200),
        final(SLIDING, 80, 1, reached=200),
    ]
    assert shown(stream.compare(SLIDING, events, finals)) == [("differing", "u", "12:00:20")]


def test_watermark_that_the_clock_moved_is_taken_from_the_results(stream: Stream) -> None:
    """Nothing came for a while: the window of 0 s was closed at offset 1, and the event after it is late there."""
    events = [seen(0, 5), seen(1, 8), seen(2, 300)]
    finals = [final(MINUTES, 0, 1, reached=60, next_offset=1, values=amounts())]
    late = [late_event(0, source_offset=1, watermark=at(60), windows='["minutes"]')]
    result = stream.compare(MINUTES, events, finals, late)
    assert (result.equal, result.is_equal) == (1, True)


def test_sessions_end_after_the_gap_in_whatever_order_their_events_come(stream: Stream) -> None:
    """Gap 10 s: 0, 9.9 and 5 are one session; 20 is as far from 9.9 as the gap and more, and begins another."""
    events = [seen(0, 9.9), seen(1, 0), seen(2, 5), seen(3, 20), seen(4, 40), seen(5, 41)]
    finals = [
        final(SESSIONS, 0, 3, reached=40, length_ms=19_900),
        final(SESSIONS, 20, 1, reached=40, length_ms=10_000),
    ]
    result = stream.compare(SESSIONS, events, finals)
    assert (result.equal, result.open, result.is_equal) == (2, 1, True)


def test_event_of_a_session_that_has_ended_begins_another(stream: Stream) -> None:
    """[0, 10) ended at 12 s; 5 s would be near it, but makes a session of its own, [5, 15), and is not late."""
    events = [seen(0, 0), seen(1, 12, user="v"), seen(2, 5), seen(3, 60, user="v")]
    finals = [
        final(SESSIONS, 0, 1, reached=60),
        final(SESSIONS, 5, 1, reached=60),
        final(SESSIONS, 12, 1, reached=60, user="v"),
    ]
    result = stream.compare(SESSIONS, events, finals)
    assert (result.equal, result.is_equal) == (3, True)


def test_session_that_begins_where_one_that_has_ended_began_is_told_apart_by_its_end(stream: Stream) -> None:
    """After [0, 10) has ended at 12 s, 5 makes [5, 15); 3 joins that one, and 0 in turn: [0, 15)."""
    events = [
        seen(0, 0),
        seen(1, 12, user="v"),
        seen(2, 5),
        seen(3, 3),
        seen(4, 0, event_id="b"),
        seen(5, 60, user="v"),
    ]
    finals = [
        final(SESSIONS, 0, 1, reached=60),
        final(SESSIONS, 0, 3, reached=60, length_ms=15_000),
        final(SESSIONS, 12, 1, reached=60, user="v"),
    ]
    result = stream.compare(SESSIONS, events, finals)
    assert (result.equal, result.is_equal) == (3, True)


@pytest.mark.parametrize(
    ("finals", "verdicts"),
    [
        ([(0, 2, 15_000), (20, 1, 10_000)], []),
        ([(0, 1, 10_000), (5, 1, 10_000), (20, 1, 10_000)], ["missing", "surplus", "surplus"]),
        ([(0, 3, 30_000)], ["missing", "missing", "surplus"]),
        ([(20, 1, 10_000)], ["missing"]),
        ([(0, 1, 15_000), (20, 1, 10_000)], ["differing"]),
    ],
)
def test_sessions_that_were_cut_joined_lost_or_miscounted_are_found(
    stream: Stream, finals: list[tuple[int, int, int]], verdicts: list[str]
) -> None:
    events = [seen(0, 0), seen(1, 5), seen(2, 20), seen(3, 40), seen(4, 60)]
    rows = [final(SESSIONS, start, count, reached=40, length_ms=length) for start, count, length in finals]
    result = stream.compare(SESSIONS, events, rows)
    assert sorted(row["verdict"] for row in result.wrong) == verdicts


def test_late_session_event_is_taken_out_by_its_record(stream: Stream) -> None:
    """[0, 10) of an event at 0 s was over at 40 s."""
    events = [seen(0, 20), seen(1, 40), seen(2, 12), seen(3, 41)]
    late = [late_event(0, source_offset=2, watermark=at(40), windows='["sessions"]')]
    finals = [final(SESSIONS, 20, 1, reached=40)]
    assert stream.compare(SESSIONS, events, finals, late).is_equal


def of_store(offset: int, seconds: float, amount: Any, *, user: str, store: Any = "s1", partition: int = 0) -> Any:
    payload = {"amount": amount} if store == "none" else {"amount": amount, "store": store}
    return seen(offset, seconds, user=user, payload=json.dumps(payload), partition=partition)


MERGED: dict[str, Any] = {"source_topic": PARTIALS.name, "source_log": "parts", "source_partition": 2, "reached": 61}


def test_windows_on_another_key_cover_all_partitions(stream: Stream) -> None:
    """Text is no amount, a number is a key as text, a list or nothing is no key, and null is the null key."""
    events = [
        of_store(0, 1, 1.0, user="a"),
        of_store(1, 2, 2.0, user="b"),
        of_store(2, 3, "many", user="b"),
        of_store(0, 4, 4.0, user="c", partition=1),
        of_store(1, 5, 8.0, user="c", partition=1, store=7),
        of_store(2, 6, 9.0, user="c", partition=1, store=None),
        of_store(3, 7, 9.0, user="c", partition=1, store=["s1"]),
        of_store(4, 8, 9.0, user="c", partition=1, store="none"),
    ]
    finals = [
        final(PER_STORE, 0, 4, user="s1", values={"amount": 7.0, "users": 3, "middle": 2.01}, **MERGED),
        final(PER_STORE, 0, 1, user="7", values={"amount": 8.0, "users": 1, "middle": 8.0}, **MERGED),
        final(PER_STORE, 0, 1, user=None, values={"amount": 9.0, "users": 1, "middle": 9.0}, **MERGED),
    ]
    result = stream.compare(PER_STORE, events, finals)
    assert (result.equal, result.wrong) == (3, [])


def test_merged_windows_belong_to_the_log_of_events_that_they_agree_with(stream: Stream) -> None:
    """The broker forgot everything and began anew. The first logs' results came late, when the second ones had begun;
    the last window of the first log ended with it, before its time."""
    events = [
        *(of_store(offset, seconds, 1.0, user="a") for offset, seconds in enumerate([1, 2, 70])),
        *({**of_store(offset, 100 + offset, 1.0, user="b"), "log": "later"} for offset in range(2)),
    ]
    names = {"values": {"amount": 2.0, "users": 1, "middle": 1.0}, "user": "s1"}
    finals = [
        final(PER_STORE, 0, 2, **{**MERGED, **names, "emitted_at": at(200)}),
        final(PER_STORE, 60, 1, **{**MERGED, **names, "reached": 70, "emitted_at": at(200)}),
        final(PER_STORE, 60, 2, **{**MERGED, **names, "source_log": "later parts", "reached": 150}),
    ]
    for row in events:
        row["event_id"] = f"{row['log']}-{row['kafka_offset']}"
    result = stream.compare(PER_STORE, events, finals)
    assert (result.equal, result.cut_short, result.open, result.is_equal) == (2, 1, 0, True)


def test_merged_window_that_is_missing_is_found(stream: Stream) -> None:
    events = [of_store(0, 1, 1.0, user="a"), of_store(1, 2, 1.0, user="a", store="s2")]
    one = {"amount": 1.0, "users": 1, "middle": 1.0}
    result = stream.compare(PER_STORE, events, [final(PER_STORE, 0, 1, user="s1", values=one, **MERGED)])
    assert shown(result) == [("missing", "s2", "12:00:00")]


@pytest.mark.parametrize("wrong", [{"amount": 3.1}, {"users": 5}, {"middle": 2.5}])
def test_sketched_values_are_compared_within_their_error(stream: Stream, wrong: dict[str, float]) -> None:
    events = [of_store(0, 1, 1.0, user="a"), of_store(1, 2, 2.0, user="b"), of_store(2, 70, 5.0, user="b")]
    values = {"amount": 3.0, "users": 2, "middle": 1.0, **wrong}
    result = stream.compare(PER_STORE, events, [final(PER_STORE, 0, 2, user="s1", values=values, **MERGED)])
    assert shown(result) == [("differing", "s1", "12:00:00")]


def test_nothing_is_compared_before_every_topic_was_loaded(warehouse: Warehouse, landing: LandingZone) -> None:
    with warehouse.write("load") as connection:
        load_landed(connection, landing, LANDED_TABLES[0])
    with warehouse.read() as connection:
        assert compare_windows(connection, [MINUTES]) == []
