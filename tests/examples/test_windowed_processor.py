"""The specification's event processing example, line for line; only the import path is ours."""

import datetime as dt

import pytest

from platform_assets.contracts.events import Event
from platform_assets.contracts.windows import Aggregate, AggregateFunction
from streaming import EventStore, EventType, WindowedProcessor, WindowType
from streaming.windowed_processor import UnknownKey
from tests.streaming_records import NOW, an_event


async def test_example_counts_a_page_view_in_its_minute() -> None:
    """`user_id` is declared by the envelope and null there, which is the null key."""
    # Create event store with schema validation
    store = EventStore()

    # Create streaming processor with windowing
    processor = WindowedProcessor()
    processor.define_window(
        key_field="user_id",
        window_type=WindowType.TUMBLING,
        size_ms=60000,  # 1-minute windows
    )

    # Process real-time events
    await processor.start()

    # Create user action event
    event = store.create_event(
        event_type=EventType.USER_ACTION,
        event_name="page_view",
        payload={"page": "/dashboard", "element": "navbar"},
        source_service="web_app",
    )

    # Process through windowed aggregation
    results = await processor.process_event(event)

    ended = await processor.stop()

    (result,) = results
    assert (result.key, result.count, result.is_final) == (None, 1, False)
    assert result.start_ms % 60_000 == 0
    assert result.end_ms - result.start_ms == 60_000
    assert result.start_ms <= event.occurred_at.timestamp() * 1000 < result.end_ms
    assert [(found.key, found.start_ms, found.count, found.is_final) for found in ended] == [
        (None, result.start_ms, 1, True)
    ]


def an_event_at(seconds: float, event_id: str, **payload: object) -> Event:
    time = NOW + dt.timedelta(seconds=seconds)
    return an_event(event_id, occurred_at=time, received_at=time, payload=payload)


async def test_payload_comes_before_the_envelope_and_an_unknown_key_raises() -> None:
    processor = WindowedProcessor()
    processor.define_window("user_id", WindowType.TUMBLING, 60_000)
    processor.define_window("shop", WindowType.TUMBLING, 60_000)
    await processor.start()
    results = await processor.process_event(an_event_at(0, "a", user_id="of the payload", shop=7))
    assert {result.key for result in results} == {"of the payload", "7"}
    with pytest.raises(UnknownKey, match="no shop"):
        await processor.process_event(an_event_at(1, "b"))


async def test_final_results_come_once_and_late_events_are_kept_aside() -> None:
    processor = WindowedProcessor()
    spent = Aggregate(name="spent", function=AggregateFunction.SUM, field="price")
    processor.define_window("user_id", WindowType.TUMBLING, 10_000, lateness_ms=5_000, aggregates=[spent])
    await processor.start()
    for seconds, event_id, price in ((0, "a", 1.5), (9, "b", 2.0), (12, "c", 1.0), (8, "d", 0.25), (8, "d", 0.25)):
        assert not any(
            found.is_final for found in await processor.process_event(an_event_at(seconds, event_id, price=price))
        )
    results = await processor.process_event(an_event_at(15, "e", price=1))
    assert [(found.count, found.aggregates["spent"]) for found in results if found.is_final] == [(3, 3.75)]
    late = an_event_at(9.5, "f", price=9)
    assert await processor.process_event(late) == []
    assert [event for event, _ in processor.late_events] == [late]


async def test_session_that_starts_earlier_withdraws_what_was_told_before() -> None:
    """Readers know a session by its start; a count of 0 takes the old start back."""
    processor = WindowedProcessor()
    processor.define_window("user_id", WindowType.SESSION, 5_000, lateness_ms=60_000)
    await processor.start()
    (first,) = await processor.process_event(an_event_at(10, "a"))
    withdrawn, moved = await processor.process_event(an_event_at(7, "b"))
    assert (withdrawn.start_ms, withdrawn.count) == (first.start_ms, 0)
    assert (moved.start_ms, moved.end_ms, moved.count) == (first.start_ms - 3000, first.end_ms, 2)
    with pytest.raises(RuntimeError, match="before start"):
        processor.define_window("session_id", WindowType.TUMBLING, 1)
