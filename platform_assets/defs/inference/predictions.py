"""The stream's predictions: their topic, their landed records and their raw table.

A stage of its own, after serving: they come from a served model, and a stage reads from those before it only.
"""

from platform_assets.contracts.landed_rows import PREDICTION_ROWS
from platform_assets.contracts.topics import PREDICTIONS
from platform_assets.defs.ingestion.event_log import WINDOWS_LOG, topic_asset, topic_check
from platform_assets.defs.ingestion.landed_rows import newest_rows_check
from platform_assets.defs.ingestion.landing import landed_asset, ranges_check
from platform_assets.defs.ingestion.raw_landed import raw_asset
from platform_assets.defs.serving.churn_model import SERVED_CHURN_MODEL
from platform_assets.defs.stages import Stage
from resources.warehouse.landed_tables import RAW_PREDICTIONS

PREDICTIONS_LOG = Stage.INFERENCE.key("predictions")
LANDED_PREDICTIONS = Stage.INFERENCE.key("landed_predictions")
RAW_PREDICTIONS_KEY = Stage.INFERENCE.key("raw_predictions")
_GROUP = Stage.INFERENCE.group

predictions = topic_asset(PREDICTIONS_LOG, PREDICTIONS, [WINDOWS_LOG, SERVED_CHURN_MODEL], group=_GROUP)
predictions_topic_has_the_landed_log = topic_check(PREDICTIONS_LOG, PREDICTIONS, "predictions_topic_has_the_landed_log")

landed_predictions = landed_asset(LANDED_PREDICTIONS, PREDICTIONS, PREDICTIONS_LOG, group=_GROUP)
prediction_ranges_are_contiguous = ranges_check(LANDED_PREDICTIONS, PREDICTIONS)
new_predictions_match_the_contract = newest_rows_check(LANDED_PREDICTIONS, PREDICTION_ROWS)

raw_predictions = raw_asset(
    RAW_PREDICTIONS_KEY,
    LANDED_PREDICTIONS,
    RAW_PREDICTIONS,
    "One row per prediction, by prediction_id: the first that was said. What was said again after a crash, perhaps of "
    "newer features, is in raw.repeated_predictions.",
    group=_GROUP,
)
