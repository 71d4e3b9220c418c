"""Every record of a batch becomes a row or a rejection, whatever bytes it holds."""

import datetime as dt
import json
import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from platform_assets.contracts.events import encode_event
from platform_assets.contracts.landing import EVENT_COLUMNS, REJECTION_COLUMNS
from platform_assets.contracts.rejections import Origin, decode_rejection, encode_rejection, reject_in_the_stream
from platform_assets.contracts.topics import EVENTS, REJECTED
from streaming.decoding import DecodedBatch, decode_events, decode_rejections, rejection_record
from tests.streaming_records import NOW, a_batch, an_event

PURCHASE = {
    "basket_id": "31198570044",
    "product_id": "1095275",
    "store_id": "330",
    "quantity": 1,
    "sales_value": 0.5,
    "retail_disc": 0.0,
    "coupon_disc": 0.0,
    "coupon_match_disc": 0.0,
}


def rows_of(decoded: DecodedBatch) -> pa.RecordBatch:
    """The rows, which topics that land have."""
    assert decoded.rows is not None
    return decoded.rows


def test_decoding_keeps_every_field_and_the_place_of_the_record() -> None:
    """A row is the event, its payload as JSON text, and log, partition and offset."""
    occurred = dt.datetime(2017, 1, 1, 6, 30, 1, 5, tzinfo=dt.timezone(dt.timedelta(hours=-5)))
    event = an_event("a", occurred_at=occurred, payload={"n": [1, {"ä": None}]}, correlation_id="c")
    decoded = decode_events(a_batch([(7, encode_event(event))], start=5, next_offset=9, partition=3), "log1", NOW)
    assert list(EVENT_COLUMNS) == rows_of(decoded).schema.names
    row = rows_of(decoded).to_pylist()[0]
    assert row | {"payload": json.loads(row["payload"])} == {
        "event_id": "a",
        "event_type": "user_action",
        "event_name": "page_view",
        "user_id": "u1",
        "session_id": None,
        "occurred_at": occurred,
        "received_at": NOW,
        "source_service": "web_app",
        "schema_version": 1,
        "correlation_id": "c",
        "traceparent": None,
        "payload": {"n": [1, {"ä": None}]},
        "log": "log1",
        "kafka_partition": 3,
        "kafka_offset": 7,
    }
    assert (decoded.start, decoded.next_offset) == (5, 9)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "no value"),
        (b"", "truncated"),
        (b"\xff\xfe", "malformed"),
        (encode_event(an_event("a")).replace(b"page_view", b"page view"), "event_name"),
        (encode_event(an_event("a")).replace(b'"payload":{', b'"payload":[{').replace(b"}}", b"}]}"), "payload"),
        (encode_event(an_event("a", event_name="purchase_line", payload=PURCHASE | {"quantity": -1})), "quantity"),
        (
            encode_event(an_event("a")).replace(b"2026-11-23T12:00:00Z", b"0001-01-01T00:00:00+14:00"),
            "from 1900 to 2199",
        ),
        (b"[" * 50_000, "nest|expected|Expected"),
        (b"x" * 200_000, "at most"),
    ],
)
def test_decoding_rejects_what_breaks_the_contract_and_keeps_its_neighbours(value: bytes | None, reason: str) -> None:
    """Poison is named with reason and place, and never stops the records around it."""
    good = encode_event(an_event("g"))
    decoded = decode_events(a_batch([(0, good), (1, value), (2, good)], start=0, next_offset=3), "log1", NOW)
    assert rows_of(decoded)["kafka_offset"].to_pylist() == [0, 2]
    (rejection,) = decoded.rejections
    assert pa.compute.match_substring_regex(pa.array([rejection.reason]), reason)[0].as_py(), rejection.reason
    assert (rejection.origin, rejection.source_topic, rejection.source_log) == (Origin.STREAM, EVENTS.name, "log1")
    assert (rejection.source_partition, rejection.source_offset) == (0, 1)


def test_decoding_makes_the_same_rejection_id_on_a_second_pass() -> None:
    """What is read again after a crash is rejected under the id it had."""
    batch = a_batch([(4, b"junk")], start=4, next_offset=5)
    first = decode_events(batch, "log1", NOW).rejections[0]
    again = decode_events(batch, "log1", NOW + dt.timedelta(hours=1)).rejections[0]
    other_log = decode_events(batch, "log2", NOW).rejections[0]
    assert first.rejection_id == again.rejection_id != other_log.rejection_id


@given(st.lists(st.one_of(st.binary(max_size=60), st.none(), st.just(encode_event(an_event("g")))), max_size=8))
def test_decoding_accounts_for_every_record(values: list[bytes | None]) -> None:
    """Rows and rejections together are the records, each exactly once, on both topics."""
    batch = a_batch(list(enumerate(values)), start=0, next_offset=len(values))
    decoded = decode_events(batch, "log1", NOW)
    places = rows_of(decoded)["kafka_offset"].to_pylist() + [
        rejection.source_offset for rejection in decoded.rejections
    ]
    assert sorted(places) == list(range(len(values)))
    rows_of(decoded).validate(full=True)
    landed = decode_rejections(batch, "log1", NOW)
    assert rows_of(landed)["kafka_offset"].to_pylist() == list(range(len(values)))
    assert not landed.rejections


def test_rejected_topic_lands_rejections_as_they_are_and_junk_as_its_own_rejection() -> None:
    """A foreign record on the rejected topic is a row that says so, and makes no further record."""
    rejection = reject_in_the_stream(
        b"x", reason="r", event_id=None, rejected_at=NOW, topic=EVENTS.name, log="L", partition=2, offset=9
    )
    naive = encode_rejection(rejection).replace(b"12:00:00Z", b"12:00:00")
    wide = encode_rejection(rejection).replace(b'"source_partition":2', b'"source_partition":99999999999')
    values = [(0, encode_rejection(rejection)), (1, b"junk"), (2, None), (3, naive), (4, wide)]
    decoded = decode_rejections(a_batch(values, start=0, next_offset=5, topic=REJECTED.name), "R", NOW)
    assert rows_of(decoded).schema.names == list(REJECTION_COLUMNS)
    rows = rows_of(decoded).to_pylist()
    assert rows[0]["rejection_id"] == rejection.rejection_id
    assert rows[0]["source_offset"] == 9
    assert [row["reason"].split(":")[0] for row in rows[1:]] == ["Not a rejection"] * 4
    assert [(row["source_topic"], row["source_offset"]) for row in rows[1:]] == [
        (REJECTED.name, n) for n in range(1, 5)
    ]
    assert rows[1]["body"] == "junk"


def test_rejection_record_fits_into_a_broker_s_largest_record() -> None:
    """A body of control characters is six times longer as JSON: it is cut, so that it cannot block the partition."""
    rejection = reject_in_the_stream(
        b"\x01" * 900_000, reason="r", event_id="e", rejected_at=NOW, topic="t", log="L", partition=0, offset=0
    )
    key, value = rejection_record(rejection)
    assert key == b"e"
    assert len(value) < 1_000_000
    assert decode_rejection(value).rejection_id == rejection.rejection_id


def test_decoding_is_fast_enough_for_the_platform() -> None:
    """50k events/s must leave most of a core free; the bound is loose, since test machines are shared."""
    value = encode_event(an_event("e" * 30))
    batch = a_batch([(offset, value) for offset in range(10_000)], start=0, next_offset=10_000)
    best = min(_seconds(batch) for _ in range(5))
    assert 10_000 / best > 50_000, f"{10_000 / best:,.0f} events/s"


def _seconds(batch: object) -> float:
    begun = time.process_time()
    decode_events(batch, "log1", NOW)  # type: ignore[arg-type]
    return time.process_time() - begun
