"""A data folder of a test's own, of a sample."""

from pathlib import Path

import pytest

from resources.landing_zone import LandingZone
from resources.settings import ChurnSettings, Settings
from resources.warehouse import Warehouse


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings over an empty data folder, of a sample."""
    return Settings(data_dir=tmp_path / "data", churn=ChurnSettings(expects_full_data=False))


@pytest.fixture
def warehouse(settings: Settings) -> Warehouse:
    """A warehouse that nobody has written yet; whoever waits for it, waits briefly."""
    return Warehouse(settings.warehouse_path, lock_timeout_s=5)


@pytest.fixture
def landing(settings: Settings) -> LandingZone:
    """An empty landing zone."""
    return LandingZone(settings.landing_dir)
