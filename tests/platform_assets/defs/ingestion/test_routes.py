"""The check of the front door, against the real API without a broker."""

from pathlib import Path

import pytest

from platform_assets.defs.ingestion.routes import ingest_route_is_ready
from resources.settings import ApiSettings, KafkaSettings, Settings
from tests.check_results import evaluate
from tests.conftest import free_port
from tests.served_api import served_api


def test_door_that_nobody_answers_at_is_not_ready_and_the_address_is_named(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, api=ApiSettings(port=free_port()))
    result = evaluate(ingest_route_is_ready, settings=settings)
    assert not result.passed
    assert str(settings.api.port) in str(result.metadata["url"].value)


@pytest.mark.parametrize("has_broker", [True, False])
def test_door_is_ready_when_it_has_a_broker(tmp_path: Path, embedded_broker: str, has_broker: bool) -> None:
    settings = Settings(
        data_dir=tmp_path,
        api=ApiSettings(port=free_port()),
        kafka=KafkaSettings(bootstrap_servers=embedded_broker if has_broker else "127.0.0.1:1"),
    )
    with served_api(settings):
        result = evaluate(ingest_route_is_ready, settings=settings)
    assert result.passed == has_broker
    assert result.metadata["status"].value == (200 if has_broker else 503)
