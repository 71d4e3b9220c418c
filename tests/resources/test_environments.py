"""A laptop's stand-ins stay on the laptop."""

from pathlib import Path

import pytest

from resources.environments import EnvironmentIncomplete, missing_parts, resources_for
from resources.settings import Environment, Settings


def test_local_environment_has_every_resource(tmp_path: Path) -> None:
    found = resources_for(Settings(data_dir=tmp_path), Path(__file__).parents[2] / "dbt_project")
    assert set(found) == {"settings", "warehouse", "landing_zone", "model_registry", "notifier", "online_store", "dbt"}


@pytest.mark.parametrize("environment", [Environment.STAGING, Environment.PROD])
def test_other_environments_name_what_they_lack_instead_of_using_local_files(environment: Environment) -> None:
    settings = Settings(environment=environment)
    with pytest.raises(EnvironmentIncomplete, match=r"KAFKA__BOOTSTRAP_SERVERS.*REGISTRY__URI.*landing zone") as caught:
        resources_for(settings, Path())
    assert "ANALYTICS_ENVIRONMENT=local" in str(caught.value)
    assert missing_parts(settings)
