"""Registered schemas in the stream: all that is on the log is judged as at the door; drift is refused loudly."""

import datetime as dt
import gc
import json
import random
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from platform_assets.contracts.event_schemas.compatibility import Compatibility
from platform_assets.contracts.events import InvalidEvent, decode_event, encode_event, encode_payload
from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.in_force import SchemasInForce, WatchedSchemas, microseconds_of
from resources.event_schemas.registry import SchemaRegistry
from streaming.decoding import DecodedBatch, decode_by_schemas, decode_events_together
from tests.odd_events import records
from tests.streaming_records import NOW, a_batch, an_event

FIRST: dict[str, Any] = {
    "type": "object",
    "properties": {"page": {"type": "string"}},
    "required": ["page"],
    "additionalProperties": False,
}
WITH_TITLE = FIRST | {"properties": {"page": {"type": "string"}, "title": {"type": ["string", "null"]}}}
NUMBERED = FIRST | {"properties": {"page": {"type": "integer"}}}
SECOND = dt.timedelta(seconds=1)


class Drifting:
    """A folder of schemas whose versions come into force when a test says so."""

    def __init__(self, root: Path) -> None:
        self._folder = SchemaFolder(root)

    def register(self, document: dict[str, Any], *, at: dt.datetime, promise: Compatibility) -> None:
        """The next version of `page_view`."""
        registry = SchemaRegistry(self._folder, in_force_after_s=0)
        version, _ = registry.register("page_view", document, promise=promise, by="t")
        path = self._folder.root / f"page_view.v{version.version}.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"in_force_from": at.isoformat()}))

    @property
    def in_force(self) -> SchemasInForce:
        """As a process that starts now has them."""
        return WatchedSchemas(self._folder).current


@pytest.fixture
def drifting(tmp_path: Path) -> Drifting:
    return Drifting(tmp_path)


def page_view(payload: Any, *, received_at: dt.datetime = NOW, event_id: str = "a") -> bytes:
    return encode_event(an_event(event_id, payload=payload, received_at=received_at))


def decoded(values: Sequence[bytes | None], schemas: SchemasInForce, *, land: bool = True) -> DecodedBatch:
    batch = a_batch(list(enumerate(values)), start=0, next_offset=len(values))
    return decode_events_together([batch], "log1", NOW, land=land, schemas=schemas)[0]


def offsets_of(batch: DecodedBatch) -> list[int]:
    assert batch.events is not None
    return [int(offset) for offset in batch.events.offsets]


@pytest.mark.parametrize("land", [True, False])
def test_record_that_breaks_the_schema_is_rejected_with_its_reason_and_its_neighbours_go_on(
    drifting: Drifting, land: bool
) -> None:
    drifting.register(FIRST, at=NOW - SECOND, promise=Compatibility.BACKWARD)
    values = [page_view({"page": "/"}), page_view({"page": 3}, event_id="b"), page_view({"page": "/x"})]
    batch = decoded(values, drifting.in_force, land=land)
    assert offsets_of(batch) == [0, 2]
    (rejection,) = batch.rejections
    assert (rejection.event_id, rejection.source_offset) == ("b", 1)
    assert rejection.reason == 'the value is not of type "string" - at `$.payload.page` (schema page_view v1)'


def test_compatible_drift_evolves(drifting: Drifting) -> None:
    """With the wider version in force old and new senders' events are rows, beside each other."""
    drifting.register(FIRST, at=NOW - 2 * SECOND, promise=Compatibility.BACKWARD)
    drifting.register(WITH_TITLE, at=NOW - SECOND, promise=Compatibility.BACKWARD)
    batch = decoded([page_view({"page": "/"}), page_view({"page": "/", "title": "t"})], drifting.in_force)
    assert offsets_of(batch) == [0, 1]
    assert not batch.rejections


def test_drift_that_nobody_registered_is_refused_loudly(drifting: Drifting) -> None:
    """A sender that adds a field on its own gets a rejection that names the field and the version."""
    drifting.register(FIRST, at=NOW - SECOND, promise=Compatibility.BACKWARD)
    (rejection,) = decoded([page_view({"page": "/", "title": "t"})], drifting.in_force).rejections
    assert "'title' was unexpected" in rejection.reason
    assert "(schema page_view v1)" in rejection.reason


def test_record_is_judged_as_of_when_it_was_received_however_late_it_is_read(drifting: Drifting) -> None:
    """So the log can be read again after a breaking change, and says what it said."""
    drifting.register(FIRST, at=NOW, promise=Compatibility.BACKWARD)
    drifting.register(NUMBERED, at=NOW + 10 * SECOND, promise=Compatibility.NONE)
    microsecond = dt.timedelta(microseconds=1)
    values = [
        page_view({"page": None}, received_at=NOW - microsecond),
        page_view({"page": "/"}, received_at=NOW),
        page_view({"page": "/"}, received_at=NOW + 10 * SECOND - microsecond),
        page_view({"page": 7}, received_at=NOW + 10 * SECOND),
        page_view({"page": "/"}, received_at=NOW + 10 * SECOND),
    ]
    batch = decoded(values, drifting.in_force)
    assert offsets_of(batch) == [0, 1, 2, 3]
    (rejection,) = batch.rejections
    assert 'not of type "integer"' in rejection.reason


def test_version_registered_while_the_worker_runs_is_taken_up(
    tmp_path: Path, drifting: Drifting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resources.event_schemas.in_force.LOOK_INTERVAL_S", 0)
    decode = decode_by_schemas(WatchedSchemas(SchemaFolder(tmp_path)), land=True)
    batch = a_batch([(0, page_view({"page": 3}))], start=0, next_offset=1)
    assert not decode([batch], "log1", NOW)[0].rejections
    drifting.register(FIRST, at=NOW - SECOND, promise=Compatibility.BACKWARD)
    assert len(decode([batch], "log1", NOW)[0].rejections) == 1


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(records(), st.binary(max_size=8), st.sampled_from([{}, {"page": "/"}, {"page": 1}])), max_size=8)
)
def test_bulk_decoding_by_schemas_equals_record_by_record(in_force: SchemasInForce, values: list[Any]) -> None:
    """Whatever stands beside what: the contract and then the schema decide."""
    batch = [page_view(value) if isinstance(value, dict) else value for value in values]
    kept: list[str] = []
    reasons: list[str] = []
    for value in batch:
        try:
            event = decode_event(value or b"")
            fault = in_force.fault(event.event_name, event.payload, microseconds_of(event.received_at))
            if fault is not None:
                raise InvalidEvent(fault)
            kept.append(encode_payload(event.payload))
        except InvalidEvent as error:
            reasons.append("The record has no value" if value is None else error.reason)
    result = decoded(batch, in_force)
    assert result.rows is not None
    assert result.rows["payload"].to_pylist() == kept
    assert [rejection.reason for rejection in result.rejections] == reasons


@pytest.fixture(scope="module")
def in_force(tmp_path_factory: pytest.TempPathFactory) -> SchemasInForce:
    drifting = Drifting(tmp_path_factory.mktemp("schemas"))
    drifting.register(FIRST, at=NOW - SECOND, promise=Compatibility.BACKWARD)
    return drifting.in_force


def test_events_without_a_schema_cost_no_call_of_their_own(in_force: SchemasInForce) -> None:
    """0.004 µs more an event was measured; counted in calls, which no busy machine makes more of."""
    names = random.Random(1).choices(["click", "scroll", "open"], k=10_000)  # noqa: S311
    values = [encode_event(an_event("e" * 30, event_name=name)) for name in names]
    decoded(values, in_force)
    more = calls(partial(decoded, values, in_force)) - calls(partial(decoded, values, SchemasInForce()))
    assert more < 100
    # What such a call looks like where there is a schema, so that the count is known to see it.
    shown = [page_view({"page": "/"})] * 1_000
    judged = calls(partial(decoded, shown, in_force)) - calls(partial(decoded, shown, SchemasInForce()))
    assert judged >= len(shown)


def calls(run: Callable[[], object]) -> int:
    """How many functions, Python's and C's, were called; none of the garbage collector's, which comes when it likes."""
    count = 0

    def counted(_frame: object, event: str, _argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    gc.collect()
    gc.disable()
    sys.setprofile(counted)
    try:
        run()
    finally:
        sys.setprofile(None)
        gc.enable()
    return count
