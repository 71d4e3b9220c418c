"""Builds the lineage of a deployment and publishes it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.serving import ModelVersion
from resources.lineage.assembly import assemble, exported_versions, registered_schemas, registered_versions
from resources.lineage.compiled_dbt import compile_project
from resources.lineage.store import LineageStore, Pointer
from resources.settings import Settings
from resources.warehouse.dbt_build import DBT_PROJECT


@dataclass(frozen=True)
class Published:
    """What serves now, and where it is less precise than it should be."""

    pointer: Pointer
    is_new: bool
    problems: tuple[str, ...]


def build_lineage(
    settings: Settings,
    project: Path = DBT_PROJECT,
    *,
    ask_registry: bool,
    say: Callable[[str], None] = lambda text: None,
) -> tuple[GraphBuilder, dict[str, str]]:
    """The graph as code, dbt and the registry say it now, and what was read for it.

    Raises:
        CompilationFailed: dbt refuses the project.
        RegistryError: the registry was to be asked and cannot be.
    """
    compiled = compile_project(project, settings.root / "dbt" / "lineage", say=say)
    versions: dict[tuple[str, str], ModelVersion] = {}
    for version in (*exported_versions(settings.models_dir), *(registered_versions(settings) if ask_registry else ())):
        versions[version.model, version.version] = version
    builder = assemble(compiled.manifest, tuple(versions.values()), registered_schemas(settings))
    return builder, {"dbt_project": compiled.fingerprint}


def publish_lineage(
    settings: Settings,
    project: Path = DBT_PROJECT,
    *,
    ask_registry: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> Published:
    """Build and publish, if it is not what serves already.

    Raises:
        CompilationFailed, RegistryError: as `build_lineage`.
        LineageError: what people recorded does not fit the graph any more.
    """
    builder, read = build_lineage(settings, project, ask_registry=ask_registry, say=say)
    problems = tuple(builder.problems)
    pointer, is_new = LineageStore(settings.lineage_dir).publish(builder.graph, problems=problems, read=read)
    return Published(pointer, is_new, problems)
