"""Landed events, written as the stream worker writes them."""

import datetime as dt
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from platform_assets.contracts.landing import EVENT_COLUMNS, LandingFile
from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone, arrow_schema
from resources.warehouse import Warehouse

RECEIVED_AT = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)

Land = Callable[..., Path]


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    return Warehouse(tmp_path / "warehouse" / "analytics.duckdb", lock_timeout_s=2)


@pytest.fixture
def landing(tmp_path: Path) -> LandingZone:
    return LandingZone(tmp_path / "landing")


@pytest.fixture
def land(landing: LandingZone) -> Land:
    """Land ids at consecutive offsets from `first` on, as one file; a None leaves its offset out."""

    def write(
        ids: Sequence[str | None], *, first: int = 0, partition: int = 0, log: str = "log-1", minute: int = 0
    ) -> Path:
        rows: list[dict[str, Any]] = [
            {
                **dict.fromkeys(EVENT_COLUMNS),
                "event_id": event_id,
                "received_at": RECEIVED_AT + dt.timedelta(minutes=minute),
                "payload": "{}",
                "log": log,
                "kafka_partition": partition,
                "kafka_offset": first + index,
            }
            for index, event_id in enumerate(ids)
            if event_id is not None
        ]
        table = pa.Table.from_pylist(rows, schema=arrow_schema(EVENT_COLUMNS))
        return landing.write(table, LandingFile(EVENTS.name, log, partition, first, first + len(ids) - 1))

    return write
