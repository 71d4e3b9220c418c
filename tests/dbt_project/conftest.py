"""One warehouse with real rows in its raw tables, built once by the dbt command line."""

import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import msgspec
import pytest

from platform_assets.contracts.events import InvalidEvent, decode_new_event
from platform_assets.contracts.rejections import Rejection, refuse_at_the_door, reject_in_the_stream
from platform_assets.contracts.topics import EVENTS
from tests.dbt_project.dbt_build import DBT_PROJECT, Built, run_dbt_build
from tests.dbt_project.raw_tables import RECEIVED_AT, add_rejections, add_stream_results, fill_raw_tables

SAMPLE_HOUSEHOLDS = 100
MATCH_EXCEEDS_COUPON = json.dumps(
    {
        "event_id": "matched-too-much",
        "event_name": "purchase_line",
        "source_service": "complete_journey",
        "payload": {
            "basket_id": "32022200980",
            "product_id": "1",
            "store_id": "1039",
            "quantity": 1,
            "sales_value": 1.0,
            "retail_disc": 0.0,
            "coupon_disc": 0.35,
            "coupon_match_disc": 0.54,
        },
    }
).encode()
# What the contract says no to, by the class that the warehouse should give the reason.
BROKEN_BODIES: tuple[tuple[str, bytes], ...] = (
    ("coupon_match_exceeds_coupon", MATCH_EXCEEDS_COUPON),
    ("not_json", b"nope"),
    ("not_json", b"{"),
    ("not_json", b'{"event_name": "\xff"}'),
    ("too_large", b" " * 100_001),
    ("too_deep", b'{"event_name":"x","source_service":"s","payload":' + b'{"a":' * 40 + b"1" + b"}" * 41),
    ("too_deep", b'{"payload":' + b'{"a":' * 5000 + b"1" + b"}" * 5001),
    ("key_repeated", b'{"event_name":"x","source_service":"s","payload":{"a":1,"a":2}}'),
    ("time_impossible", b'{"event_name":"x","source_service":"s","payload":{},"occurred_at":"1850-01-01T00:00:00Z"}'),
    ("field_missing", b"{}"),
    ("field_unknown", b'{"event_name":"x","source_service":"s","payload":{},"colour":"red"}'),
    ("field_invalid", b'{"event_name":"x","source_service":"s","payload":[]}'),
    ("field_invalid", b'{"event_name":"x","source_service":"s","payload":{},"event_type":"odd"}'),
    ("field_invalid", b'{"event_name":"x","source_service":"s","payload":{},"occurred_at":"yesterday"}'),
)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The first hundred households' purchases, all of the shop's files, some rejections and what a stream made."""
    folder = tmp_path_factory.mktemp("sample")
    warehouse = folder / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        fill_raw_tables(connection, household_count=SAMPLE_HOUSEHOLDS)
        add_rejections(connection, _rejections())
        add_stream_results(connection)
    return _build(folder, warehouse)


def _build(folder: Path, warehouse: Path) -> Built:
    artefacts = folder / "target"
    run_dbt_build(
        DBT_PROJECT,
        {
            "ANALYTICS_WAREHOUSE__PATH": str(warehouse),
            "DBT_TARGET_PATH": str(artefacts),
            "DBT_LOG_PATH": str(folder / "logs"),
        },
    )
    return Built(warehouse=warehouse, artefacts=artefacts)


def _rejections() -> Sequence[Rejection]:
    """Each broken body refused at the door, the first one again under another id, and one record of the stream."""
    refused = [_refuse(body) for _, body in BROKEN_BODIES]
    again = msgspec.structs.replace(refused[0], rejection_id="again")
    rejected = reject_in_the_stream(
        b"nope",
        reason=_reason(b"nope"),
        event_id=None,
        rejected_at=RECEIVED_AT,
        topic=EVENTS.name,
        log="log-1",
        partition=0,
        offset=1_000_000,
    )
    return [*refused, again, rejected]


def _refuse(body: bytes) -> Rejection:
    reason = _reason(body)
    return refuse_at_the_door(body, reason=reason, event_id=None, rejected_at=RECEIVED_AT, correlation_id="test")


def _reason(body: bytes) -> str:
    with pytest.raises(InvalidEvent) as refusal:
        decode_new_event(body)
    return refusal.value.reason
