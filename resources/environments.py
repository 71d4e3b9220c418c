"""Which resources each environment gets. Dagster's side alone imports it."""

import sys
from collections.abc import Callable
from pathlib import Path

from dagster import InitResourceContext, ResourceDefinition
from dagster_dbt import DbtCliResource

from resources.landing_zone import LandingZone
from resources.notifier import notifier_of
from resources.online_store import SqliteOnlineStore
from resources.retried_warehouse import RetriedWarehouse
from resources.settings import Environment, Settings


class EnvironmentIncomplete(RuntimeError):
    """This release cannot run in the environment that was asked for; the message lists what is missing."""


def resources_for(settings: Settings, dbt_project_dir: Path) -> dict[str, object]:
    """The resources by key.

    Raises:
        EnvironmentIncomplete: staging and prod need parts that exist on one machine only so far.
        SettingsError: alerts would go to an address that is not https outside development.
    """
    missing = missing_parts(settings)
    if missing:
        raise EnvironmentIncomplete(
            f"ANALYTICS_ENVIRONMENT={settings.environment.value} cannot start: {'; '.join(missing)}. "
            "Use ANALYTICS_ENVIRONMENT=local on a single machine."
        )
    return {
        "settings": _plain(settings),
        "warehouse": _plain(RetriedWarehouse.of(settings)),
        "landing_zone": _plain(LandingZone(settings.landing_dir)),
        "model_registry": ResourceDefinition(_registry_of(settings)),
        "notifier": _plain(notifier_of(settings)),
        "online_store": _plain(SqliteOnlineStore(settings.online_store_path)),
        "dbt": DbtCliResource(
            project_dir=str(dbt_project_dir),
            profiles_dir=str(dbt_project_dir),
            target=settings.environment.value,
            dbt_executable=str(_beside_python("dbt")),
        ),
    }


def missing_parts(settings: Settings) -> list[str]:
    """What keeps these settings from running in their environment; empty where nothing does.

    A laptop's stand-ins are never used in silence elsewhere: files of one machine are not shared by several.
    """
    if settings.environment is Environment.LOCAL:
        return []
    missing = []
    if settings.kafka.bootstrap_servers is None:
        missing.append("no Kafka is named (ANALYTICS_KAFKA__BOOTSTRAP_SERVERS)")
    if settings.registry.uri is None:
        missing.append("no MLflow server is named (ANALYTICS_REGISTRY__URI)")
    missing.append("this release has no landing zone on object storage, only files of one machine")
    missing.append("this release has no warehouse but one DuckDB file of one machine")
    missing.append("this release has no online store but one SQLite file of one machine")
    return missing


def _registry_of(settings: Settings) -> Callable[[InitResourceContext], object]:
    def make(_: InitResourceContext) -> object:
        # scikit-learn and skops take 3 s to import; only runs that train or serve need them.
        from resources.model_registry import registry_of

        return registry_of(settings)

    return make


def _beside_python(command: str) -> Path:
    """A command of our own environment, which need not be activated."""
    return Path(sys.executable).with_name(command)


def _plain(resource: object) -> ResourceDefinition:
    return ResourceDefinition.hardcoded_resource(resource)
