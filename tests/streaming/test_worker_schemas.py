"""The worker beside a registry: what other producers write straight to the log is judged as at the door."""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from platform_assets.contracts.event_schemas.compatibility import Compatibility
from platform_assets.contracts.events import encode_event, partition_key
from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.registry import SchemaRegistry
from tests.streaming.running_worker import Platform, running_platform
from tests.streaming.test_decoding_by_schemas import FIRST
from tests.streaming_records import an_event


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    with running_platform(tmp_path) as platform:
        yield platform


def page_view(event_id: str, payload: dict[str, Any], received_at: dt.datetime) -> tuple[bytes, bytes]:
    event = an_event(event_id, payload=payload, occurred_at=received_at, received_at=received_at)
    return partition_key(event), encode_event(event)


async def test_schema_registered_beside_a_running_worker_judges_what_is_received_from_then_on(
    platform: Platform,
) -> None:
    """Taken up without a restart; what came before is a row, what comes after and breaks it is a rejection."""
    platform.start()
    before = dt.datetime.now(dt.UTC)
    await platform.append([page_view("old", {"page": 3}, before)])
    platform.wait(lambda: platform.landed(EVENTS.name) == 1)
    registry = SchemaRegistry(SchemaFolder(platform.root / "data" / "schemas"), in_force_after_s=2)
    version, _ = registry.register("page_view", FIRST, promise=Compatibility.BACKWARD, by="test")
    # The worker looks twice a second: by the time that the version is in force it has it.
    platform.wait(lambda: dt.datetime.now(dt.UTC) >= version.in_force_from)
    after = dt.datetime.now(dt.UTC)
    await platform.append(
        [
            page_view("late", {"page": 3}, before),
            page_view("good", {"page": "/"}, after),
            page_view("bad", {"page": 3}, after),
        ]
    )
    platform.wait(lambda: platform.landed(EVENTS.name) == 4 and platform.landed(REJECTED.name) == 1)
    assert sorted(platform.rows(EVENTS.name)["event_id"].to_pylist()) == ["good", "late", "old"]
    (rejection,) = platform.rows(REJECTED.name).to_pylist()
    assert rejection["event_id"] == "bad"
    assert rejection["reason"] == 'the value is not of type "string" - at `$.payload.page` (schema page_view v1)'
