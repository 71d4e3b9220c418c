"""The jobs. All run in one process: for five assets 31 s were measured against 80 s with a process for each."""

from dagster import AssetCheckKey, AssetSelection, RepositoryDefinition, define_asset_job, in_process_executor

from platform_assets.defs.stages import Stage
from platform_assets.defs.warehouse.day_freshness import DAYS_ARE_THERE
from platform_assets.defs.warehouse.dbt_models import FULL_TESTS_TAG, dbt_models
from platform_assets.defs.warehouse.full_proofs import FULL_PROOFS
from platform_assets.defs.warehouse.purchase_lines import LINES_MATCH_THE_CONTRACT

WAREHOUSE_JOB = "warehouse_job"
REFERENCE_JOB = "reference_job"
CHURN_JOB = "churn_job"
PLATFORM_CHECKS_JOB = "platform_checks_job"
COMPACTION_JOB = "compaction_job"
FRESHNESS_JOB = "freshness_job"
WAREHOUSE_FULL_TESTS = "warehouse_full_tests"

_LANDED_KEYS = (
    *(Stage.RAW.key(noun) for noun in ("events", "rejected_events", "window_results", "late_events")),
    Stage.INFERENCE.key("raw_predictions"),
    Stage.QUALITY.key("quarantined_rows"),
)
_LANDED = AssetSelection.assets(*_LANDED_KEYS)
_RAW = AssetSelection.groups(Stage.RAW.group) | _LANDED
_TRANSFORMED = AssetSelection.assets(*dbt_models.keys)
# dbt's tests of its sources are checks of the raw tables, but it is the build that runs them.
_DBT_TESTS = AssetSelection.checks(*dbt_models.check_keys)
_PUBLISHED = AssetSelection.assets(Stage.SERVING.key("marts_snapshot"))
# Checks of what the builds make that have a job of their own: by the clock, and over all history.
_FRESHNESS = AssetSelection.checks(*DAYS_ARE_THERE)
_FULL_PROOFS = AssetSelection.checks(*FULL_PROOFS)
# Loads pandera, as the features do.
_TYPED_LINES = AssetSelection.checks(LINES_MATCH_THE_CONTRACT)
_ELSEWHERE = _FRESHNESS | _FULL_PROOFS | _TYPED_LINES

WITHOUT_REFERENCE = sorted(
    {
        *dbt_models.keys,
        *_LANDED_KEYS,
        Stage.SERVING.key("marts_snapshot"),
    }
)
"""The part of `warehouse_job` that new events need: all but the reference data."""


def checks_without_reference(repository: RepositoryDefinition) -> list[AssetCheckKey]:
    """The checks of that part. A run that is asked for by assets alone makes every check of them, also those over all
    history and by the clock, whatever its job selects.
    """
    checks = warehouse_job.selection.resolve_checks(repository.asset_graph)
    return sorted((key for key in checks if key.asset_key in WITHOUT_REFERENCE), key=str)


warehouse_job = define_asset_job(
    WAREHOUSE_JOB,
    selection=(_RAW | _TRANSFORMED | _DBT_TESTS | _PUBLISHED) - _ELSEWHERE,
    description="Loads what has landed and the reference data, rebuilds the marts and publishes those that are served.",
    executor_def=in_process_executor,
)
reference_job = define_asset_job(
    REFERENCE_JOB,
    selection=((_RAW - _LANDED) | _TRANSFORMED | _DBT_TESTS | _PUBLISHED) - _ELSEWHERE,
    description="Loads products, demographics, campaigns and coupons, rebuilds the marts and publishes them.",
    executor_def=in_process_executor,
)
churn_job = define_asset_job(
    CHURN_JOB,
    selection=AssetSelection.groups(Stage.FEATURES.group, Stage.MODELS.group)
    | AssetSelection.assets(*(Stage.SERVING.key(noun) for noun in ("customer_activity", "churn_model", "lineage")))
    | _TYPED_LINES,
    description=(
        "Judges the lines that features are made of, computes features, trains, promotes through the gate, serves, and "
        "publishes the lineage of all of it."
    ),
    executor_def=in_process_executor,
)
platform_checks_job = define_asset_job(
    PLATFORM_CHECKS_JOB,
    selection=AssetSelection.checks_for_assets(
        Stage.ROUTES.key("ingest_events"),
        Stage.SERVING.key("predict_churn"),
        *(
            stage.key(noun)
            for stage in (Stage.LOG, Stage.LANDING)
            for noun in ("events", "rejected_events", "windows", "late_events")
        ),
        *(Stage.INFERENCE.key(noun) for noun in ("predictions", "landed_predictions")),
        Stage.SOURCES.key("complete_journey"),
    ),
    description="Asks the parts that Dagster does not run whether they are as they should be.",
    executor_def=in_process_executor,
)
compaction_job = define_asset_job(
    COMPACTION_JOB,
    selection=AssetSelection.assets(Stage.LANDING.key("compacted_files")),
    description="Merges the small files that have landed and are loaded into large ones.",
    executor_def=in_process_executor,
)
freshness_job = define_asset_job(
    FRESHNESS_JOB,
    selection=_FRESHNESS,
    description="Asks whether every business day that has to be there is there, in each daily mart.",
    executor_def=in_process_executor,
)
warehouse_full_tests = define_asset_job(
    WAREHOUSE_FULL_TESTS,
    selection=_DBT_TESTS | _FULL_PROOFS,
    description="Tests all rows, where a build tests what is new: dbt's tests, and ids and contract of what landed.",
    tags={FULL_TESTS_TAG: "true"},
    executor_def=in_process_executor,
)
