"""When an asset is made because of what happened before it, and not by a job, a schedule or a sensor of its own.

None of them is made for the first time here: that is the job's, which the demo or a person starts. And none is asked
for while it, or what it reads, is being made; what one run has made together with its source is up to date.
"""

from dagster import (
    AssetCheckKey,
    AssetKey,
    AssetSelection,
    AutomationCondition,
    AutomationConditionSensorDefinition,
    DefaultSensorStatus,
)

from platform_assets.defs.stages import Stage
from resources.settings import load_settings

WHEN_SOURCE_CHANGED = (
    AutomationCondition.any_deps_updated().since_last_handled()
    & ~AutomationCondition.any_deps_in_progress()
    & ~AutomationCondition.in_progress()
    & ~AutomationCondition.missing()
).with_label("when what it reads has changed")

# After the reference data, and on Mondays half an hour after the model's training, which computes the features too.
_MORNING_CAME: AutomationCondition[AssetKey | AssetCheckKey] = AutomationCondition.cron_tick_passed(
    "30 6 * * *", load_settings().warehouse.business_timezone
)

IN_THE_MORNING_WHEN_SOURCE_CHANGED = (_MORNING_CAME.since_last_handled() & WHEN_SOURCE_CHANGED).with_label(
    "in the morning, when what it reads has changed"
)

automation_sensor = AutomationConditionSensorDefinition(
    name="automation_sensor",
    target=AssetSelection.groups(Stage.FEATURES.group, Stage.SERVING.group),
    default_status=DefaultSensorStatus.RUNNING,
    # It looks for changes that come once a day or by hand.
    minimum_interval_seconds=60,
    description="Computes features anew every morning, and hands features and models that changed to those that serve.",
)
