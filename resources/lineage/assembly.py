"""Puts the lineage of a deployment together: contracts, dbt, features, models and their versions, metrics.

Nothing of it needs a running platform. The registry is only asked where that is wanted: it loads MLflow, some seconds;
without it the exported versions are those that are known.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.contracts.predictions import CHURN, SERVED
from platform_assets.features.customer_activity import FEATURES_STATEMENT, LABELS_STATEMENT
from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.dbt_models import add_dbt_models
from platform_assets.lineage.graph import ROWS, AssetKind, Column, Influence, Place
from platform_assets.lineage.metrics import add_metrics
from platform_assets.lineage.serving import (
    ModelSource,
    ModelVersion,
    add_model,
    add_predictions,
    add_snapshot,
)
from platform_assets.lineage.stream import add_stream, payload_fields
from platform_assets.modeling.manifest import MANIFEST_FILE, POINTER_FILE, Manifest, Pointer
from platform_assets.quality.suite import Suite
from platform_assets.quality.suites import QUARANTINES
from resources.event_schemas.folder import SchemaFolder
from resources.event_schemas.registry import SchemaRegistry
from resources.settings import Settings
from resources.warehouse.landed_tables import LANDED_TABLES
from resources.warehouse.reference_loads import DISTRIBUTION, REFERENCE_TABLES
from resources.warehouse.snapshots import SERVED_MARTS

REFERENCE = "sources/complete_journey"
QUARANTINE = "quality/quarantined_rows"


def assemble(
    manifest: Mapping[str, Any],
    versions: tuple[ModelVersion, ...] = (),
    schemas: Mapping[str, Any] | None = None,
    quarantines: Sequence[Suite] = QUARANTINES,
) -> GraphBuilder:
    """The whole graph.

    Args:
        manifest: dbt's, of `dbt compile`.
        versions: of the served models.
        schemas: registered JSON Schemas of payloads by event name, beside the built-in contracts.
        quarantines: the suites that hold rows of landed tables.
    """
    builder = GraphBuilder()
    add_stream(builder, payload_fields(schemas))
    _add_reference(builder)
    model = ModelSource(CHURN, CUSTOMER_ACTIVITY, FEATURES_STATEMENT, LABELS_STATEMENT, versions)
    add_dbt_models(builder, manifest)
    for suite in quarantines:
        _add_quarantine(builder, suite)
    add_model(builder, model)
    add_predictions(builder, model)
    add_snapshot(builder, (mart.name for mart in SERVED_MARTS))
    add_metrics(builder)
    return builder


def registered_schemas(settings: Settings) -> dict[str, Any]:
    """The newest registered schema of each event name. Raises OSError where the folder cannot be read."""
    registry = SchemaRegistry(SchemaFolder(settings.schemas_dir), in_force_after_s=0)
    known, _ = registry.known()
    return {name: versions[-1].document for name, versions in known.items()}


def exported_versions(models_dir: Path) -> tuple[ModelVersion, ...]:
    """The versions of served models that were exported; a damaged manifest is left out, since it cannot serve."""
    found = []
    for model in SERVED:
        champion = _decode(models_dir / model / POINTER_FILE, Pointer)
        for path in sorted(models_dir.glob(f"{model}/[!.]*/{MANIFEST_FILE}")):
            manifest = _decode(path, Manifest)
            if manifest is not None:
                found.append(
                    _version(manifest, is_champion=champion is not None and champion.version == manifest.version)
                )
    return tuple(found)


def registered_versions(settings: Settings) -> tuple[ModelVersion, ...]:
    """Every version of the served models that the registry has; none where its local database is not made yet."""
    from resources.model_registry import CHAMPION, registry_of
    from resources.model_registry.database import is_sqlite
    from resources.model_registry.training_record import VersionFacts

    uri = settings.registry_uri
    if is_sqlite(uri) and not Path(uri.removeprefix("sqlite:///")).is_file():
        return ()
    registry = registry_of(settings)
    found = []
    for model in SERVED:
        for version in registry.versions(model):
            facts = VersionFacts.of(version)
            if facts is not None:
                found.append(
                    ModelVersion(
                        model=model,
                        version=version.version,
                        feature_set=facts.feature_set,
                        feature_set_version=facts.feature_set_version,
                        feature_names=tuple(facts.feature_names),
                        is_champion=CHAMPION in version.aliases,
                        facts={"algorithm": facts.algorithm, "aliases": ", ".join(version.aliases)},
                    )
                )
    return tuple(found)


def _version(manifest: Manifest, *, is_champion: bool) -> ModelVersion:
    return ModelVersion(
        model=manifest.model,
        version=manifest.version,
        feature_set=manifest.feature_set,
        feature_set_version=manifest.feature_set_version,
        feature_names=tuple(manifest.feature_names),
        is_champion=is_champion,
        facts={"algorithm": manifest.algorithm, "aliases": "champion" if is_champion else ""},
    )


def _decode(path: Path, kind: type[Any]) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


def _add_reference(builder: GraphBuilder) -> None:
    """The shop's files and the raw tables that are replaced by them every day."""
    builder.asset(REFERENCE, AssetKind.SOURCE, f"The files of {DISTRIBUTION}.")
    for table in REFERENCE_TABLES:
        files = [Column(f"{table.name}.{name}", kind) for name, kind in table.columns.items()]
        builder.asset(REFERENCE, AssetKind.SOURCE, "", files)
        raw = f"raw/{table.name}"
        builder.asset(raw, AssetKind.TABLE, "", [Column(name, kind) for name, kind in table.columns.items()])
        for name in table.columns:
            builder.passes(Place(REFERENCE, f"{table.name}.{name}"), Place(raw, name), "load of the shop's files")
        builder.edge(Place(REFERENCE, f"{table.name}.{ROWS}"), Place(raw, ROWS), "load of the shop's files")


def _add_quarantine(builder: GraphBuilder, suite: Suite) -> None:
    """Which rows are held, and so are not in the models, is decided by the columns that a suite judges."""
    table, found_in = suite.dataset.replace(".", "/"), f"suite {suite.name}"
    key = next(landed.key for landed in LANDED_TABLES if landed.table == suite.dataset)
    judged = {column for expectation in suite.expectations for column in expectation.columns_read}
    read = {f"payload.{column}" if column in suite.payload else column for column in judged} | suite.only.keys()
    for column in sorted(read):
        for target in (ROWS, "reasons"):
            builder.edge(Place(table, column), Place(QUARANTINE, target), found_in, Influence.CONDITION)
    builder.edge(Place(table, ROWS), Place(QUARANTINE, ROWS), found_in)
    builder.edge(Place(table, key), Place(QUARANTINE, "row_key"), found_in)
