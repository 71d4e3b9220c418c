"""Final windows, late events and predictions become rows; changes and poison have only their place covered."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from platform_assets.contracts.predictions import StreamPrediction, encode_prediction
from platform_assets.contracts.topics import EVENTS, LATE, PREDICTIONS, WINDOWS
from platform_assets.contracts.windows import LateEvent, UpdateKind, WindowUpdates, encode_late, encode_updates
from resources.landing_zone import LandingZone
from streaming.decoding import DecodedBatch
from streaming.sink import Admission, LandingSink, Limits
from streaming.stream_decoders import DECODERS, SCHEMAS, decode_late_events, decode_predictions, decode_windows
from tests.streaming_records import NOW, a_batch

MINUTE_MS = 60_000


def updates(kind: UpdateKind = UpdateKind.FINAL, **changes: Any) -> WindowUpdates:
    fields: dict[str, Any] = {
        "window": "user_activity_1m",
        "version": 2,
        "kind": kind,
        "source_topic": EVENTS.name,
        "source_log": "log-e",
        "source_partition": 3,
        "next_offset": 500,
        "watermark_ms": 2 * MINUTE_MS,
        "emitted_ms": 5 * MINUTE_MS,
        "aggregates": ("sales", "largest"),
        "rows": [["u1", 0, MINUTE_MS, 7, 1.5, None], [None, MINUTE_MS, 2 * MINUTE_MS, 1, 2.5, 2.5]],
    }
    return WindowUpdates(**{**fields, **changes})


def late() -> LateEvent:
    return LateEvent(
        event_id="a",
        event_name="page_view",
        user_id=None,
        occurred_ms=1_500,
        received_ms=90_000,
        watermark_ms=70_001,
        windows=("user_activity_1m", "x"),
        source_topic=EVENTS.name,
        source_log="log-e",
        source_partition=1,
        source_offset=12,
    )


def prediction(**changes: Any) -> StreamPrediction:
    fields: dict[str, Any] = {
        "prediction_id": "p1",
        "model": "churn",
        "model_version": "3",
        "entity_id": "1228",
        "probability": 0.25,
        "features_as_of": dt.date(2017, 11, 1),
        "predicted_ms": 90_001,
        "source_topic": EVENTS.name,
        "source_log": "log-e",
        "source_partition": 1,
        "source_offset": 12,
    }
    return StreamPrediction(**{**fields, **changes})


def rows_of(decoded: DecodedBatch) -> pa.RecordBatch:
    assert decoded.rows is not None
    return decoded.rows


def time_of(milliseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)


def test_every_final_result_of_a_record_becomes_a_row_of_the_record_s_offset() -> None:
    batch = a_batch([(8, encode_updates(updates()))], start=8, next_offset=9, topic=WINDOWS.name, partition=3)
    first, second = rows_of(decode_windows(batch, "log-w", NOW)).to_pylist()
    assert first == {
        "result_id": "user_activity_1m/2/log-e/3/=u1/0-60000",
        "window_name": "user_activity_1m",
        "version": 2,
        "key": "u1",
        "window_start": time_of(0),
        "window_end": time_of(MINUTE_MS),
        "event_count": 7,
        "aggregates": '{"sales":1.5,"largest":null}',
        "source_topic": EVENTS.name,
        "source_log": "log-e",
        "source_partition": 3,
        "next_offset": 500,
        "watermark": time_of(2 * MINUTE_MS),
        "emitted_at": time_of(5 * MINUTE_MS),
        "log": "log-w",
        "kafka_partition": 3,
        "kafka_offset": 8,
    }
    assert (second["result_id"], second["key"]) == (f"user_activity_1m/2/log-e/3/-/{MINUTE_MS}-{2 * MINUTE_MS}", None)
    assert second["kafka_offset"] == 8


def test_change_has_its_offset_covered_and_no_row_and_is_not_read_beyond_its_kind() -> None:
    """A change whose rows are nonsense is no poison: only a final result is decoded whole."""
    odd = json.dumps({"rows": "nonsense", "kind": "change"}).encode()
    values = [(0, encode_updates(updates(UpdateKind.CHANGE))), (1, odd)]
    decoded = decode_windows(a_batch(values, start=0, next_offset=4, topic=WINDOWS.name), "log-w", NOW)
    assert (rows_of(decoded).num_rows, decoded.rejections) == (0, ())
    assert (decoded.start, decoded.next_offset) == (0, 4)
    assert rows_of(decoded).schema == SCHEMAS[WINDOWS.name]


def test_late_event_becomes_a_row_known_by_the_place_of_the_event() -> None:
    batch = a_batch([(4, encode_late(late()))], start=4, next_offset=5, topic=LATE.name)
    (row,) = rows_of(decode_late_events(batch, "log-l", NOW)).to_pylist()
    assert row == {
        "late_id": f"{EVENTS.name}/log-e/1/12",
        "event_id": "a",
        "event_name": "page_view",
        "user_id": None,
        "occurred_at": time_of(1_500),
        "received_at": time_of(90_000),
        "watermark": time_of(70_001),
        "windows": '["user_activity_1m","x"]',
        "source_topic": EVENTS.name,
        "source_log": "log-e",
        "source_partition": 1,
        "source_offset": 12,
        "log": "log-l",
        "kafka_partition": 0,
        "kafka_offset": 4,
    }


def test_prediction_becomes_a_row() -> None:
    batch = a_batch([(4, encode_prediction(prediction()))], start=4, next_offset=5, topic=PREDICTIONS.name)
    (row,) = rows_of(decode_predictions(batch, "log-p", NOW)).to_pylist()
    fields = msgspec.structs.asdict(prediction())
    assert row == {
        **{name: value for name, value in fields.items() if name != "predicted_ms"},
        "predicted_at": time_of(90_001),
        "log": "log-p",
        "kafka_partition": 0,
        "kafka_offset": 4,
    }


FINAL = json.loads(encode_updates(updates()))


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        (WINDOWS.name, None),
        (WINDOWS.name, b"nope"),
        (WINDOWS.name, b'{"kind": "other"}'),
        (WINDOWS.name, b'{"kind": "final"}'),
        (WINDOWS.name, {**FINAL, "rows": [["u1", 0, MINUTE_MS]]}),
        (WINDOWS.name, {**FINAL, "rows": [["u1", 0, MINUTE_MS, 1, 2.0]]}),
        (WINDOWS.name, {**FINAL, "rows": [[5, 0, MINUTE_MS, 1, 2.0, 2.0]]}),
        (WINDOWS.name, {**FINAL, "rows": [["u1", 0.5, MINUTE_MS, 1, 2.0, 2.0]]}),
        (WINDOWS.name, {**FINAL, "rows": [["u1", 0, 10**17, 1, 2.0, 2.0]]}),
        (WINDOWS.name, {**FINAL, "rows": [["u1", 0, MINUTE_MS, 2**63, 2.0, 2.0]]}),
        (WINDOWS.name, {**FINAL, "source_partition": 2**31}),
        (LATE.name, {**json.loads(encode_late(late())), "occurred_ms": -(10**17)}),
        (LATE.name, b"[]"),
        (PREDICTIONS.name, {**json.loads(encode_prediction(prediction())), "probability": "high"}),
        (PREDICTIONS.name, {**json.loads(encode_prediction(prediction())), "source_offset": 2**63}),
        (PREDICTIONS.name, b"{}"),
    ],
)
def test_poison_is_rejected_with_its_place_and_its_neighbours_land(topic: str, value: Any) -> None:
    """Foreign bytes, wrong shapes and numbers that no column holds; the record after it still becomes rows."""
    good = {
        WINDOWS.name: encode_updates(updates()),
        LATE.name: encode_late(late()),
        PREDICTIONS.name: encode_prediction(prediction()),
    }
    poison = json.dumps(value).encode() if isinstance(value, dict) else value
    batch = a_batch([(6, poison), (7, good[topic])], start=6, next_offset=8, topic=topic)
    (decoded,) = DECODERS[topic]([batch], "log-x", NOW)
    (rejection,) = decoded.rejections
    assert (rejection.source_topic, rejection.source_log, rejection.source_offset) == (topic, "log-x", 6)
    assert set(rows_of(decoded).column("kafka_offset").to_pylist()) == {7}


def test_sink_takes_all_rows_of_an_offset_or_none(tmp_path: Path) -> None:
    """A batch that overlaps the position brings only whole records: rows of one record are never torn apart."""
    sink = LandingSink(
        LandingZone(tmp_path), Limits(file_rows=1, file_age_s=60, buffer_bytes=1 << 20), SCHEMAS, verify=lambda _: None
    )
    sink.open(WINDOWS.name, "log-w", 0, landed=0)
    value = encode_updates(updates())
    first = decode_windows(a_batch([(0, value)], start=0, next_offset=1, topic=WINDOWS.name), "log-w", NOW)
    both = decode_windows(a_batch([(0, value), (1, value)], start=0, next_offset=2, topic=WINDOWS.name), "log-w", NOW)
    assert [sink.take(first), sink.take(first), sink.take(both)] == [
        Admission.TAKE,
        Admission.REPEATED,
        Admission.TAKE,
    ]
    (full,) = sink.fill([(WINDOWS.name, 0)])
    sink.write([full])
    landed = pq.read_table(tmp_path / full.file.path)
    assert landed.column("kafka_offset").to_pylist() == [0, 0, 1, 1]
