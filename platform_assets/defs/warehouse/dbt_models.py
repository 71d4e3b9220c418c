"""The dbt project as assets: a model is an asset, a test is a check.

The manifest is made at build time (`make manifest`, which runs `dbt parse`), never on import: parsing takes seconds,
and each process that loads the definitions would pay for it.
"""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster import (
    AssetCheckSpec,
    AssetExecutionContext,
    AssetKey,
    AssetSpec,
    BackfillPolicy,
    PartitionsDefinition,
    ResourceParam,
)
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliInvocation,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)
from dagster_dbt.dbt_manifest import validate_manifest

from platform_assets.defs.partitions import DAILY_TAG, business_days, dbt_variables, marks_of_other_days
from platform_assets.defs.stages import WAREHOUSE_POOL
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.dbt_build import JUDGED_AT_THE_LOAD, WITHOUT_UNIT_TESTS, environment_of_dbt

FULL_TESTS_TAG = "analytics/full_tests"
"""On runs in which dbt's tests read all rows and not only those that no test has passed yet."""

DBT_PROJECT_DIR = Path(__file__).parents[3] / "dbt_project"
MANIFEST = DBT_PROJECT_DIR / "target" / "manifest.json"


class ManifestMissing(FileNotFoundError):
    """The dbt project has not been parsed."""


def manifest_path(path: Path = MANIFEST) -> Path:
    """The manifest.

    Raises:
        ManifestMissing: naming the command that makes it.
    """
    if not path.is_file():
        raise ManifestMissing(f"{path} is missing; make it with `make manifest` (`analytics up` does it too).")
    return path


@contextlib.contextmanager
def dbt_environment(settings: Settings) -> Iterator[None]:
    """What dbt_project/profiles.yml reads, for dbt's process and for the adapter that reads columns in this one."""
    wanted = environment_of_dbt(settings, settings.warehouse_path, log="dbt")
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def close_adapter() -> None:
    """Close the warehouse file that dagster-dbt reads columns from in this process, through dbt's adapter.

    It stays open until the process ends otherwise, and the next step or process to write would be refused.
    """
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager

    manager: Any = DuckDBConnectionManager
    if manager._ENV is not None:  # env() raises where there is none
        manager.env().close()
    manager.close_all_connections()


def _day_columns() -> dict[AssetKey, str]:
    # As @dbt_assets has read it, which keeps it: 1.3 MB of JSON would be parsed twice by each process that loads this.
    nodes = validate_manifest(manifest_path())["nodes"].values()
    translator = Translator()
    return {
        translator.get_asset_key(node): str(node["config"]["event_time"])
        for node in nodes
        if node["resource_type"] == "model" and DAILY_TAG in node["tags"]
    }


class Translator(DagsterDbtTranslator):
    """Models with the tag `daily` have a partition for each business day, the others none; one call builds both."""

    def __init__(self) -> None:
        super().__init__(settings=DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    def get_partitions_def(self, dbt_resource_props: Mapping[str, Any]) -> PartitionsDefinition[str] | None:
        return business_days if DAILY_TAG in dbt_resource_props.get("tags", ()) else None

    def get_asset_check_spec(
        self, asset_spec: AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> AssetCheckSpec | None:
        """None for tests that the build leaves out: dagster-dbt takes sources' tests without looking at `exclude`."""
        if JUDGED_AT_THE_LOAD in manifest["nodes"][unique_id]["tags"]:
            return None
        return super().get_asset_check_spec(asset_spec, manifest, unique_id, project)


@dbt_assets(
    name="dbt_models",
    manifest=manifest_path(),
    exclude=f"tag:{JUDGED_AT_THE_LOAD}",
    dagster_dbt_translator=Translator(),
    # However many days are missing: one run, one call of dbt (8 s before its first model is built).
    backfill_policy=BackfillPolicy.single_run(),
    pool=WAREHOUSE_POOL,
)
def dbt_models(
    context: AssetExecutionContext,
    dbt: DbtCliResource,
    settings: ResourceParam[Settings],
    warehouse: ResourceParam[Warehouse],
) -> Iterator[Any]:
    """Build and test the selected models, alone with the warehouse file."""
    days = context.partition_key_range if context.has_partition_key_range else None
    variables: dict[str, object] = {**dbt_variables(days, context.run.tags)}
    if FULL_TESTS_TAG in context.run.tags:
        variables["full_tests"] = True
    arguments = ["build", *WITHOUT_UNIT_TESTS]
    if variables:
        arguments += ["--vars", json.dumps(variables)]
    purpose = f"dbt build, run {context.op_execution_context.run_id}"
    with warehouse.locked(purpose), dbt_environment(settings):
        # Other variables make dbt parse anew (10 s): beside what it knows for the usual build, which stays as it is.
        target = settings.root / "dbt" / ("target_with_variables" if variables else "target")
        build = dbt.cli(arguments, context=context, target_path=target)
        built, failure = _gather(build)
    # Handed over once the lock is free: where Dagster fails on an event, this generator stays as it is for as long as
    # the error is kept, and what it held then would keep the process from writing in its next step.
    for event in built:
        if days is None:
            _ask_for_no_days(context)
        yield event
    if failure is not None:
        raise failure
    for mark in marks_of_other_days(context.selected_asset_keys & DAILY_MODELS, context.run.tags):
        context.log_event(mark)


def _gather(build: DbtCliInvocation) -> tuple[list[Any], Exception | None]:
    """All that a call of dbt has to tell, and the error that it ended with; its log is on the run's page meanwhile."""
    events: list[Any] = []
    try:
        for event in build.stream().fetch_column_metadata():
            events.append(event)  # noqa: PERF402 - what came before an error counts
    except Exception as error:  # raised again by the step, after what was built
        return events, error
    finally:
        close_adapter()
    return events, None


def _ask_for_no_days(context: AssetExecutionContext) -> None:
    """Keep Dagster from asking for the days of a run that has none.

    At each check of a partitioned asset it looks for what the step read of it, by the run's days, and fails the step
    where it has none, although it gives the step such assets and their checks (1.13). What is known is not looked for.
    """
    step = context.op_execution_context.get_step_execution_context()
    for key in DAILY_MODELS:
        step._data_version_cache.input_asset_version_info.setdefault(key, None)


DAILY_MODELS = frozenset(spec.key for spec in dbt_models.specs if spec.partitions_def is not None)
"""The marts that are partitioned by business day."""

DAY_COLUMNS = _day_columns()
"""The column of each that holds the day: dbt's own setting `event_time`."""
