"""The asset graph as a whole: it loads, it is described, and nothing on it stands alone."""

import os
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from dagster import AssetKey, AssetSpec, DefaultScheduleStatus

from platform_assets.definitions import defs
from platform_assets.defs.warehouse.dbt_models import ManifestMissing, manifest_path

REPOSITORY = Path(__file__).parents[2]
EXPECTED_SPECS = Path(__file__).with_name("asset_specs.txt")

ENTRANCES = {"routes/ingest_events", "sources/complete_journey"}
THE_WAY_OF_AN_EVENT = [
    "routes/ingest_events",
    "log/events",
    "landing/events",
    "raw/events",
    "staging/stg_events__events",
    "staging/stg_events__purchase_lines",
    "marts/fct_order_lines",
    "features/customer_activity",
    "models/churn",
    "serving/churn_model",
    "serving/predict_churn",
]
THE_WAY_OF_A_WINDOW = [
    "routes/ingest_events",
    "log/events",
    "log/windows",
    "landing/windows",
    "raw/window_results",
    "staging/stg_events__window_results",
    "marts/fct_window_results",
]
THE_WAY_OF_A_PREDICTION = [
    "log/windows",
    "inference/predictions",
    "inference/landed_predictions",
    "inference/raw_predictions",
    "inference/stg_events__predictions",
]


def name(key: AssetKey) -> str:
    return key.to_user_string()


@pytest.fixture(scope="module")
def specs() -> dict[str, AssetSpec]:
    return {name(spec.key): spec for spec in defs.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def made_by_dagster() -> set[str]:
    return {name(key) for key in defs.resolve_asset_graph().materializable_asset_keys}


@pytest.fixture(scope="module")
def checks() -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key in defs.resolve_asset_graph().asset_check_keys:
        found[name(key.asset_key)].append(key.name)
    return found


def test_every_asset_has_owner_group_kinds_description_and_a_check(
    specs: dict[str, AssetSpec], checks: dict[str, list[str]]
) -> None:
    bare = {
        key: [
            what
            for what, there in (
                ("an owner", bool(spec.owners) and all(owner.startswith("team:") for owner in spec.owners)),
                ("the group of its stage", spec.group_name == key.partition("/")[0]),
                ("one or two kinds", 1 <= len(spec.kinds) <= 2),
                ("a description", bool(spec.description and spec.description.strip())),
                ("a check", bool(checks.get(key))),
            )
            if not there
        ]
        for key, spec in specs.items()
    }
    assert {key: lacks for key, lacks in bare.items() if lacks} == {}


def test_no_asset_stands_alone_and_each_is_reached_from_where_data_enters(specs: dict[str, AssetSpec]) -> None:
    parents = {key: {name(dep.asset_key) for dep in spec.deps} for key, spec in specs.items()}
    assert {dep for deps in parents.values() for dep in deps} <= specs.keys()
    assert {key for key, deps in parents.items() if not deps} == ENTRANCES
    reached: set[str] = set()
    while new := {key for key, deps in parents.items() if key not in reached and (not deps or deps & reached)}:
        reached |= new
    assert reached == specs.keys()


@pytest.mark.parametrize("way", [THE_WAY_OF_AN_EVENT, THE_WAY_OF_A_WINDOW, THE_WAY_OF_A_PREDICTION])
def test_lineage_is_unbroken_from_the_ingest_route_to_where_it_is_read(
    specs: dict[str, AssetSpec], way: list[str]
) -> None:
    for before, after in pairwise(way):
        ancestors, frontier = set[str](), {after}
        while frontier:
            frontier = {name(dep.asset_key) for key in frontier for dep in specs[key].deps} - ancestors
            ancestors |= frontier
        assert before in ancestors, f"{after} does not come from {before}"


def test_every_stage_reads_only_from_itself_and_stages_before_it(specs: dict[str, AssetSpec]) -> None:
    order = [
        "routes",
        "log",
        "landing",
        "sources",
        "raw",
        "quality",
        "staging",
        "intermediate",
        "marts",
        "features",
        "models",
        "serving",
        "inference",
    ]
    place = {stage: index for index, stage in enumerate(order)}
    backwards = [
        f"{name(dep.asset_key)} -> {key}"
        for key, spec in specs.items()
        for dep in spec.deps
        if place[name(dep.asset_key).partition("/")[0]] > place[key.partition("/")[0]]
    ]
    assert backwards == []


def test_asset_specs_are_those_that_were_reviewed(specs: dict[str, AssetSpec], checks: dict[str, list[str]]) -> None:
    """On purpose changed? `ANALYTICS_ACCEPT_SPECS=1 pytest <this file>` writes the file anew; review its diff."""
    found = "".join(_describe(key, specs[key], checks[key]) for key in sorted(specs))
    if os.environ.get("ANALYTICS_ACCEPT_SPECS"):
        EXPECTED_SPECS.write_text(found)
    assert found == EXPECTED_SPECS.read_text()


def _describe(key: str, spec: AssetSpec, checks: list[str]) -> str:
    lines = [
        key,
        f"  group {spec.group_name}, owned by {', '.join(spec.owners)}, kinds {', '.join(sorted(spec.kinds))}",
        *(f"  from {dep}" for dep in sorted(name(dep.asset_key) for dep in spec.deps)),
        *(f"  check {check}" for check in sorted(checks)),
    ]
    return "\n".join(lines) + "\n\n"


def test_checks_of_external_assets_run_in_the_platform_checks_job(
    checks: dict[str, list[str]], made_by_dagster: set[str]
) -> None:
    external = {f"{key}:{check}" for key, found in checks.items() if key not in made_by_dagster for check in found}
    job = defs.resolve_job_def("platform_checks_job")
    in_job = {f"{name(key.asset_key)}:{key.name}" for key in job.asset_layer.asset_graph.asset_check_keys}
    assert external
    assert external == in_job


def test_every_asset_that_dagster_makes_belongs_to_a_job(made_by_dagster: set[str]) -> None:
    jobs = [defs.resolve_job_def(job) for job in ("warehouse_job", "reference_job", "churn_job", "compaction_job")]
    assert {name(key) for job in jobs for key in job.asset_layer.selected_asset_keys} == made_by_dagster


def test_schedules_tick_by_default_in_the_time_of_the_business() -> None:
    schedules = {schedule.name: schedule for schedule in defs.get_repository_def().schedule_defs}
    assert schedules.keys() == {
        "reference_daily",
        "churn_weekly",
        "platform_checks_hourly",
        "compaction_hourly",
        "warehouse_full_tests_weekly",
    }
    assert {schedule.default_status for schedule in schedules.values()} == {DefaultScheduleStatus.RUNNING}
    assert {schedule.execution_timezone for schedule in schedules.values()} == {"America/New_York"}


def test_missing_manifest_names_the_command_that_makes_it(tmp_path: Path) -> None:
    with pytest.raises(ManifestMissing, match="make manifest"):
        manifest_path(tmp_path / "manifest.json")


def test_definitions_load_in_a_fresh_interpreter_without_the_heavy_libraries(tmp_path: Path) -> None:
    code = (
        "import sys, platform_assets.definitions as d; d.defs.get_repository_def();"
        "print(sorted({'mlflow', 'sklearn', 'skops', 'pandera', 'matplotlib'} & set(sys.modules)))"
    )
    loaded = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "ANALYTICS_DATA_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.strip() == "[]"
    assert list(tmp_path.iterdir()) == []


def test_workspace_file_validates(tmp_path: Path) -> None:
    validated = subprocess.run(
        [str(Path(sys.executable).with_name("dagster")), "definitions", "validate", "-w", "workspace.yaml"],
        cwd=REPOSITORY,
        env={**os.environ, "ANALYTICS_DATA_DIR": str(tmp_path), "DAGSTER_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert validated.returncode == 0, validated.stderr
    assert "Validation successful for code location analytics" in validated.stderr + validated.stdout


@pytest.mark.parametrize("job", ["warehouse_job", "reference_job"])
def test_job_starts_dbt_once(job: str) -> None:
    """8 s a start: a step of ours between two models, or between dbt's tests of a source and a model, makes it two."""
    steps = [node.name for node in defs.resolve_job_def(job).graph.nodes if node.name.startswith("dbt_models")]
    assert steps == ["dbt_models"]
