"""A rejection says who, why and where, and is the same one when the work is done again."""

import datetime as dt

from platform_assets.contracts.rejections import (
    Origin,
    decode_rejection,
    encode_rejection,
    refuse_at_the_door,
    reject_in_the_stream,
)

NOW = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)


def test_door_rejection_without_an_event_id_is_known_by_its_body() -> None:
    one = refuse_at_the_door(b"{", reason="truncated", event_id=None, rejected_at=NOW, correlation_id="c")
    again = refuse_at_the_door(b"{", reason="truncated", event_id=None, rejected_at=NOW, correlation_id="d")
    other = refuse_at_the_door(b"}", reason="truncated", event_id=None, rejected_at=NOW, correlation_id="c")
    assert one.event_id == again.event_id
    assert one.rejection_id == again.rejection_id != other.rejection_id
    assert one.origin is Origin.DOOR


def test_stream_rejection_is_known_by_its_place_on_the_log() -> None:
    place = {"topic": "events.v1", "log": "l", "partition": 2, "offset": 7}
    one = reject_in_the_stream(b"\xff", reason="a", event_id=None, rejected_at=NOW, **place)  # type: ignore[arg-type]
    again = reject_in_the_stream(b"\xff", reason="b", event_id=None, rejected_at=NOW, **place)  # type: ignore[arg-type]
    assert one.rejection_id == again.rejection_id
    assert (one.source_topic, one.source_log, one.source_partition, one.source_offset) == ("events.v1", "l", 2, 7)
    assert one.body == "base64:/w=="


def test_rejection_survives_the_way_over_the_log() -> None:
    rejection = refuse_at_the_door("ü".encode(), reason="r", event_id="e", rejected_at=NOW, correlation_id="c")
    assert decode_rejection(encode_rejection(rejection)) == rejection
