"""The dbt project as it stands, compiled once for all processes that test, and the graph of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.graph import LineageGraph
from platform_assets.lineage.serving import ModelVersion
from resources.lineage.assembly import assemble
from resources.lineage.compiled_dbt import compile_project
from resources.warehouse.dbt_build import DBT_PROJECT

COMPILED = DBT_PROJECT / "target" / "lineage"
VERSIONS = (
    ModelVersion("churn", "3", "customer_activity", 1, CUSTOMER_ACTIVITY.feature_names, is_champion=True),
    ModelVersion("churn", "2", "customer_activity", 0, ("orders_84d", "forgotten")),
)


@pytest.fixture(scope="session")
def manifest() -> Mapping[str, Any]:
    """dbt's manifest with compiled statements. Compiling takes 9 s, where nobody has done it since the last edit."""
    return compile_project(DBT_PROJECT, COMPILED).manifest


@pytest.fixture(scope="session")
def builder(manifest: Mapping[str, Any]) -> GraphBuilder:
    """What the platform's lineage is built with, and what it could not follow."""
    return assemble(manifest, VERSIONS)


@pytest.fixture(scope="session")
def graph(builder: GraphBuilder) -> LineageGraph:
    """The platform's lineage, with two versions of the model."""
    return builder.graph


@pytest.fixture
def data_dir(manifest: Mapping[str, Any], tmp_path: Path) -> Path:
    """A data folder that has the compiled project already."""
    (tmp_path / "dbt").mkdir()
    (tmp_path / "dbt" / "lineage").symlink_to(COMPILED, target_is_directory=True)
    return tmp_path
