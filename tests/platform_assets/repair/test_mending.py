"""A mended event is the one that was rejected: same id, same bytes every time, and the contract has looked at it."""

import datetime as dt
import json
from typing import Any

import msgspec

from platform_assets.contracts.events import decode_event, decode_new_event, encode_event
from platform_assets.contracts.rejections import (
    KnownRejection,
    Rejection,
    Status,
    refuse_at_the_door,
    reject_in_the_stream,
)
from platform_assets.repair.mending import Mended, mend
from platform_assets.repair.steps import Step
from tests.streaming_records import an_event

NOW = dt.datetime(2026, 11, 23, 23, 30, tzinfo=dt.timezone(dt.timedelta(hours=-1)))
CAST = {"do": "cast", "path": "schema_version", "to": "integer"}


def known(rejection: Rejection) -> KnownRejection:
    return KnownRejection(**msgspec.structs.asdict(rejection), event_name=None, status=Status.OPEN)


def refused(event_id: str | None = None, **fields: Any) -> KnownRejection:
    body = {"event_name": "seen", "source_service": "web", "payload": {}, "schema_version": "1", **fields}
    if event_id is not None:
        body["event_id"] = event_id
    return known(
        refuse_at_the_door(
            json.dumps(body).encode(), reason="r", event_id=event_id, rejected_at=NOW, correlation_id="request-1"
        )
    )


def mended(rejection: KnownRejection, *steps: dict[str, Any]) -> Mended:
    return mend(rejection, msgspec.convert(list(steps), list[Step]))


def test_mended_event_passes_the_contract_and_says_which_rejection_it_mends() -> None:
    rejection = refused("mine", occurred_at="2026-11-01T10:00:00+02:00")
    found = mended(rejection, CAST)
    assert found.body is not None
    event = decode_new_event(found.body)
    assert (event.event_id, event.correlation_id) == ("mine", f"replay:{rejection.rejection_id}")
    assert found.day == dt.date(2026, 11, 1)


def test_event_without_an_id_or_a_time_gets_those_of_its_rejection() -> None:
    rejection = refused()
    found = mended(rejection, CAST)
    assert found.body is not None
    event = decode_new_event(found.body)
    assert event.event_id == rejection.event_id
    assert event.occurred_at == NOW
    assert found.day == dt.date(2026, 11, 24)
    assert mended(rejection, CAST) == found


def test_record_of_the_log_becomes_what_a_client_may_send() -> None:
    value = encode_event(an_event("e1")).replace(b'"page_view"', b'"page view"')
    rejection = known(
        reject_in_the_stream(
            value, reason="r", event_id="e1", rejected_at=NOW, topic="events.v1", log="l", partition=0, offset=3
        )
    )
    found = mended(rejection, {"do": "set", "path": "event_name", "value": "page_view"})
    assert found.body is not None
    assert decode_new_event(found.body).user_id == decode_event(encode_event(an_event("e1"))).user_id


def test_received_at_that_a_client_sent_is_not_taken_out_in_silence() -> None:
    assert "received_at" in str(mended(refused(received_at="2026-01-01T00:00:00Z"), CAST).failure)


def test_body_that_still_breaks_the_contract_says_why() -> None:
    assert mended(refused()).failure == "Expected `int`, got `str` - at `$.schema_version`"
    assert (
        mended(refused(), CAST, {"do": "drop", "path": "payload"}).failure == "Object missing required field `payload`"
    )
