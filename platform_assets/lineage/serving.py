"""From the marts on: features, models and their versions, the served copies and predictions."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from platform_assets.contracts.features import FeatureSet
from platform_assets.contracts.predictions import Prediction
from platform_assets.contracts.topics import PREDICTIONS
from platform_assets.lineage.building import GraphBuilder
from platform_assets.lineage.graph import ROWS, AssetKind, Column, Influence, Place
from platform_assets.lineage.routes import NEWEST_PREDICTION, PREDICT
from platform_assets.lineage.statement import read_statement
from platform_assets.lineage.stream import LANDED_PREDICTIONS, PREDICTIONS_LOG, WINDOWS_LOG, add_landed
from platform_assets.lineage.values import Table

SNAPSHOT = "serving/marts_snapshot"


@dataclass(frozen=True)
class ModelVersion:
    """A registered or exported version of a model, with the features that it learned from in their order."""

    model: str
    version: str
    feature_set: str
    feature_set_version: int
    feature_names: tuple[str, ...]
    is_champion: bool = False
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ModelSource:
    """A model: the features it reads, the statement of its labels, and its versions."""

    name: str
    features: FeatureSet
    features_sql: str
    labels_sql: str
    versions: tuple[ModelVersion, ...] = ()


def add_model(builder: GraphBuilder, model: ModelSource) -> None:
    """Its feature table, training, versions, exported champion and online features."""
    features = f"features/{model.features.name}"
    _add_features(builder, features, model)
    name, served = f"models/{model.name}", f"serving/{model.name}_model"
    found_in = f"training of {model.name}"
    builder.asset(name, AssetKind.MODEL, f"The registered model {model.name}.", aliases=(model.name,))
    builder.asset(served, AssetKind.SERVED, "The champion as files that the API reads.")
    labels = sorted(_statement(builder, model.labels_sql).columns_read)
    for place in [*labels, *(Place(features, one) for one in (ROWS, "cutoff_date", *model.features.feature_names))]:
        builder.edge(place, Place(name), found_in)
    for version in model.versions:
        _add_version(builder, version, name, labels, model.features)
    builder.edge(Place(name), Place(served), "promotion of the champion")
    online = f"serving/{model.features.name}"
    columns = builder.graph.assets[features].columns
    builder.asset(online, AssetKind.SERVED, "The newest features of each entity, by key.", columns)
    builder.copy(features, online, [column.name for column in columns], "load of the online store")


def add_predictions(builder: GraphBuilder, model: ModelSource) -> None:
    """The prediction route, and what the model says in the stream."""
    online, served = f"serving/{model.features.name}", f"serving/{model.name}_model"
    builder.asset(PREDICT.asset, AssetKind.ROUTE, PREDICT.description, Prediction.model_fields, facts=PREDICT.facts)
    builder.asset(PREDICTIONS_LOG, AssetKind.TOPIC, PREDICTIONS.description, LANDED_PREDICTIONS.columns)
    found_in = f"served model {model.name}"
    for target in (PREDICT.asset, PREDICTIONS_LOG):
        for one in model.features.feature_names:
            builder.edge(Place(online, one), Place(target, "probability"), found_in)
        builder.edge(Place(online, "cutoff_date"), Place(target, "features_as_of"), found_in)
        builder.edge(Place(served), Place(target, "probability"), found_in)
        builder.edge(Place(served), Place(target, "model_version"), found_in)
        builder.edge(Place(online, "entity_id"), Place(target, "entity_id"), found_in)
    # The scorer is asked by a change of an entity's windows.
    builder.edge(Place(WINDOWS_LOG, "key"), Place(PREDICTIONS_LOG, "entity_id"), found_in)
    builder.edge(Place(WINDOWS_LOG, "key"), Place(PREDICTIONS_LOG, ROWS), found_in, Influence.CONDITION)
    builder.edge(Place(WINDOWS_LOG, ROWS), Place(PREDICTIONS_LOG, ROWS), found_in)
    add_landed(builder, LANDED_PREDICTIONS)
    builder.asset(NEWEST_PREDICTION.asset, AssetKind.ROUTE, NEWEST_PREDICTION.description,
                  Prediction.model_fields, facts=NEWEST_PREDICTION.facts)  # fmt: skip
    builder.copy(PREDICTIONS_LOG, NEWEST_PREDICTION.asset, Prediction.model_fields, "online store of predictions")


def add_snapshot(builder: GraphBuilder, marts: Iterable[str]) -> None:
    """The published copy of the marts that may be served; its columns are `mart.column`."""
    builder.asset(SNAPSHOT, AssetKind.SERVED, "An immutable copy of the marts that requests may read.")
    for mart in marts:
        source = f"marts/{mart}"
        if source not in builder.graph.assets:
            builder.problems.append(f"{SNAPSHOT}: it serves {source}, which dbt does not have")
            continue
        columns = [column for column in builder.graph.assets[source].columns if "." not in column.name]
        builder.asset(
            SNAPSHOT, AssetKind.SERVED, "", [Column(f"{mart}.{one.name}", one.type, one.description) for one in columns]
        )
        for one in columns:
            builder.edge(Place(source, one.name), Place(SNAPSHOT, f"{mart}.{one.name}"), "copy of the mart")
        builder.edge(Place(source, ROWS), Place(SNAPSHOT, f"{mart}.{ROWS}"), "copy of the mart")


def _add_features(builder: GraphBuilder, name: str, model: ModelSource) -> None:
    features = model.features
    described = {one.name: Column(one.name, one.dtype, one.description) for one in features.columns}
    statement = _statement(builder, model.features_sql)
    builder.asset(
        name, AssetKind.FEATURES, features.description,
        [described.get(one, Column(one)) for one in statement.values],
        aliases=(features.name,), facts={"version": str(features.version)},
    )  # fmt: skip
    found_in = f"statement of {features.name} version {features.version}"
    for column, (direct, condition) in statement.values.items():
        for place in sorted(direct):
            builder.edge(place, Place(name, column), found_in)
        for place in sorted(condition):
            builder.edge(place, Place(name, column), found_in, Influence.CONDITION)
    for place in sorted(statement.rows):
        influence = Influence.DIRECT if place.column == ROWS else Influence.CONDITION
        builder.edge(place, Place(name, ROWS), found_in, influence)


def _add_version(
    builder: GraphBuilder, version: ModelVersion, model: str, labels: list[Place], current: FeatureSet
) -> None:
    name = f"{model}/{version.version}"
    read = f"{version.feature_set} v{version.feature_set_version}"
    builder.asset(
        name, AssetKind.MODEL_VERSION, f"Version {version.version} of {version.model}.",
        facts={"features": read, **version.facts},
    )  # fmt: skip
    found_in = f"registered version {version.version} of {version.model}"
    features = f"features/{version.feature_set}"
    if (version.feature_set, version.feature_set_version) == (current.name, current.version):
        builder.edge(Place(model), Place(name), found_in)
    for place in [*labels, *(Place(features, one) for one in version.feature_names)]:
        # A version that learned from an older feature set may have had features that are gone.
        if builder.graph.has(place):
            builder.edge(place, Place(name), found_in)
    if version.is_champion:
        builder.edge(Place(name), Place(f"serving/{version.model}_model"), found_in)


@dataclass(frozen=True)
class _Statement:
    values: Mapping[str, tuple[set[Place], set[Place]]]
    rows: set[Place]

    @property
    def columns_read(self) -> set[Place]:
        made = set().union(*(direct | condition for direct, condition in self.values.values()))
        return made | self.rows


def _statement(builder: GraphBuilder, sql: str) -> _Statement:
    """A statement over warehouse tables, whose assets have the tables' names."""
    tables = {
        name.replace("/", "."): Table([column.name for column in asset.columns if "." not in column.name])
        for name, asset in builder.graph.assets.items()
        if asset.kind is AssetKind.TABLE
    }
    read = read_statement(sql, tables)
    if read.unknown:
        builder.problems.append(f"a statement of features reads what nobody knows: {', '.join(read.unknown)}")

    def places(columns: Iterable[tuple[str, str]]) -> set[Place]:
        found = {Place(table.replace(".", "/"), column) for table, column in columns}
        return {place for place in found if builder.graph.has(place)}

    values = {
        name: (places(value.direct), places(value.condition - value.direct))
        for name, value in read.relation.columns.items()
    }
    return _Statement(values, places(read.relation.rows))
