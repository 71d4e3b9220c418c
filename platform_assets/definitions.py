"""The composition root: the tree of definitions, the sensors and the resources of this deployment."""

from pathlib import Path

from dagster import Definitions, in_process_executor, load_from_defs_folder

from platform_assets.defs.warehouse.dbt_models import DBT_PROJECT_DIR
from resources.environments import resources_for
from resources.settings import Settings, load_settings
from resources.settings.lineage import LineageEvents
from sensors.built_days import built_days_sensor
from sensors.day_freshness import day_freshness_sensor
from sensors.landed_events import landed_events_sensor
from sensors.lineage_events import LINEAGE_EVENT_SENSORS
from sensors.reference_files import reference_files_sensor
from sensors.run_failures import failed_runs_sensor, recovered_runs_sensor, waiting_alerts_sensor


def build_definitions(settings: Settings) -> Definitions:
    """Everything that Dagster knows, with the resources that these settings choose.

    Raises:
        EnvironmentIncomplete: this release cannot run in that environment.
    """
    return Definitions.merge(
        load_from_defs_folder(path_within_project=Path(__file__).parent),
        Definitions(
            sensors=[
                landed_events_sensor,
                reference_files_sensor,
                built_days_sensor,
                day_freshness_sensor,
                failed_runs_sensor,
                recovered_runs_sensor,
                waiting_alerts_sensor,
                *(LINEAGE_EVENT_SENSORS if settings.lineage.events is not LineageEvents.OFF else ()),
            ],
            resources=resources_for(settings, DBT_PROJECT_DIR),
            executor=in_process_executor,
        ),
    )


defs = build_definitions(load_settings())
