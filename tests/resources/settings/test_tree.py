"""Settings come from the environment; a bad one is named by its variable."""

from pathlib import Path

import pytest

from resources.settings import SettingsError, load_settings


def test_settings_have_working_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANALYTICS_DATA_DIR", raising=False)
    settings = load_settings()
    assert settings.kafka.address == "127.0.0.1:9092"
    assert settings.api.port == 8000
    assert settings.dagster.port == 3001


def test_environment_overrides_one_value_of_a_section_and_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ANALYTICS_KAFKA__BOOTSTRAP_SERVERS", "kafka:9092")
    settings = load_settings()
    assert settings.kafka.address == "kafka:9092"
    assert settings.kafka.embedded_port == 9092
    assert settings.landing_dir == tmp_path / "landing"


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ANALYTICS_API__PORT", "70000"), ("ANALYTICS_ENVIRONMENT", "laptop"), ("ANALYTICS_API__PROT", "1")],
)
def test_bad_value_stops_with_the_name_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=variable):
        load_settings()
