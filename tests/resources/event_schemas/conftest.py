"""A registry on a folder of its own, whose versions are in force at once."""

from pathlib import Path

import pytest

from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.registry import SchemaRegistry


@pytest.fixture
def folder(tmp_path: Path) -> SchemaFolder:
    return SchemaFolder(tmp_path / "schemas")


@pytest.fixture
def registry(folder: SchemaFolder) -> SchemaRegistry:
    return SchemaRegistry(folder, in_force_after_s=0)
