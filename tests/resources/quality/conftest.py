"""A data folder of a test's own, and a notifier that keeps what it was told."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from resources.notifier import Alert, Fate, Report
from resources.quality.datasets import Datasets
from resources.quality.history import QualityHistory
from resources.quality.validating import DataQuality
from resources.settings import Settings


@dataclass
class KeepingNotifier:
    """Keeps alerts and their ends in memory."""

    sent: list[Alert] = field(default_factory=list)
    resolved: list[Alert] = field(default_factory=list)

    def send(self, alert: Alert) -> Report:
        """Keep it."""
        self.sent.append(alert)
        return Report(Fate.RECORDED)

    def resolve(self, alert: Alert) -> Report:
        """Keep it."""
        self.resolved.append(alert)
        return Report(Fate.RECORDED)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings over an empty data folder."""
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def history(settings: Settings) -> QualityHistory:
    """An empty history."""
    return QualityHistory.of(settings)


@pytest.fixture
def notifier() -> KeepingNotifier:
    """Nobody was told anything yet."""
    return KeepingNotifier()


@pytest.fixture
def quality(settings: Settings, history: QualityHistory, notifier: KeepingNotifier) -> DataQuality:
    """Validations over the data folder."""
    return DataQuality(Datasets.of(settings), history, notifier, sample_rows=5)
