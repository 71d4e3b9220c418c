"""The door's connection to the event log."""

import datetime as dt
import time
from pathlib import Path

import pytest

from api.services.event_log import EventLog
from platform_assets.contracts.rejections import encode_rejection, refuse_at_the_door
from platform_assets.contracts.topics import REJECTED
from resources.event_log.gate import IngestionGate
from resources.settings import KafkaSettings, Settings


@pytest.mark.parametrize(("linger_ms", "least_s", "most_s"), [(0, 0.0, 0.2), (300, 0.3, 2.0)])
async def test_the_door_waits_for_a_batch_to_fill_for_as_long_as_is_set(
    broker: str, tmp_path: Path, linger_ms: int, least_s: float, most_s: float
) -> None:
    settings = Settings(data_dir=tmp_path, kafka=KafkaSettings(bootstrap_servers=broker, linger_ms=linger_ms))
    # Other tests read this broker's topics: nothing that is no record of theirs may stand there.
    rejection = refuse_at_the_door(
        b"{}", reason="a test", event_id="linger-1", rejected_at=dt.datetime.now(dt.UTC), correlation_id="linger"
    )
    record = (b"linger-1", encode_rejection(rejection))
    event_log = EventLog(settings, IngestionGate.of(settings))
    event_log.start()
    try:
        await event_log.append(REJECTED.name, [record])
        begun = time.monotonic()
        await event_log.append(REJECTED.name, [record])
        assert least_s <= time.monotonic() - begun < most_s
    finally:
        await event_log.stop()
