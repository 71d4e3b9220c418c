"""What two processes hand each other arrives as it was, or is known not to fit."""

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from platform_assets.contracts.events import encode_event
from platform_assets.contracts.windows import WINDOWS
from platform_assets.windows.columns import MISSING
from streaming.decoders.column_transfer import read_events, read_records, write_events, write_records
from streaming.event_decoding import decode_records
from streaming.window_columns import WindowColumns
from tests.odd_events import records
from tests.streaming_records import an_event

ROOM = 1 << 20


@settings(max_examples=100, deadline=None)
@given(st.lists(records(), max_size=12), st.booleans())
def test_columns_and_refusals_arrive_as_they_were_decoded(values: list[bytes | None], land: bool) -> None:
    """Odd events, tombstones and junk; the records too."""
    area = memoryview(bytearray(ROOM))
    size = write_records(values, area)
    assert size is not None
    assert list(read_records(area[:size])) == values
    events, refused = decode_records(values, land=land)
    written = write_events(events, refused, area)
    assert written is not None
    arrived, refused_there = read_events(area, written, values)
    assert refused_there == refused
    assert arrived.texts == events.texts
    assert arrived.payloads == events.payloads
    for mine, theirs in (
        (events.offsets, arrived.offsets),
        (events.occurred_us, arrived.occurred_us),
        (events.received_us, arrived.received_us),
        (events.schema_versions, arrived.schema_versions),
        (events.id_hashes, arrived.id_hashes),
    ):
        assert (mine.dtype, mine.tolist()) == (theirs.dtype, theirs.tolist())


@pytest.mark.parametrize(
    ("payload", "arrives"), [({"sales_value": [1, {"a": None}, "é", 0.1, True]}, True), ({"sales_value": 2**70}, False)]
)
def test_payload_values_arrive_or_are_read_again(payload: dict[str, Any], arrives: bool) -> None:
    """What the way cannot carry the worker finds in the payloads."""
    area = memoryview(bytearray(ROOM))
    values = [encode_event(an_event("a")), encode_event(an_event("b", payload=payload))]
    written = write_events(*decode_records(values, land=True, definitions=WINDOWS), area)
    assert written is not None
    arrived, _ = read_events(area, written, values)
    assert bool(arrived.values) == arrives
    assert WindowColumns(arrived, WINDOWS).values("sales_value", None) == [MISSING, payload["sales_value"]]


@pytest.mark.parametrize("values", [[], [encode_event(an_event("a"))], [None, b"junk"]])
def test_what_does_not_fit_to_the_last_byte_is_not_written(values: Sequence[bytes | None]) -> None:
    area = memoryview(bytearray(ROOM))
    size = write_records(values, area)
    assert size is not None
    assert write_records(values, area[:size]) == size
    assert write_records(values, area[: size - 1]) is None
    events, refused = decode_records(values, land=True)
    written = write_events(events, refused, area)
    assert written is not None
    assert write_events(events, refused, area[: sum(written)]) == written
    assert write_events(events, refused, area[: sum(written) - 1]) is None


def test_columns_that_arrived_outlive_the_area() -> None:
    """The area is written to again while they wait to be taken."""
    area = memoryview(bytearray(ROOM))
    values = [encode_event(an_event(f"e{number}")) for number in range(3)]
    written = write_events(*decode_records(values, land=True), area)
    assert written is not None
    arrived, _ = read_events(area, written, values)
    area[:] = bytes(ROOM)
    assert arrived.column("event_id") == ["e0", "e1", "e2"]
    assert arrived.payloads.to_pylist() == [b'{"page":"/"}'] * 3
    assert (arrived.occurred_us > 0).all()
