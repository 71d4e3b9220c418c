"""The pandera schema of a feature table, derived from its feature set."""

import pandera.pandas as pa

from platform_assets.contracts.features import FeatureColumn, FeatureSet

_DTYPES = {"float": "float64", "int": "int64"}


def feature_schema(feature_set: FeatureSet) -> pa.DataFrameSchema:
    """Schema of one row per (entity_id, cutoff_date): strict columns, dtypes, bounds and a unique key."""
    return pa.DataFrameSchema(
        columns={
            "entity_id": pa.Column(
                "object", pa.Check.str_length(min_value=1), description=f"The {feature_set.entity}."
            ),
            "cutoff_date": pa.Column("datetime64[us]", description="Only what happened before this day counts."),
            **{column.name: _column(column) for column in feature_set.columns},
        },
        unique=["entity_id", "cutoff_date"],
        strict=True,
        ordered=True,
        name=f"{feature_set.name}_v{feature_set.version}",
        description=feature_set.description,
    )


def _column(column: FeatureColumn) -> pa.Column:
    checks = []
    if column.minimum is not None:
        checks.append(pa.Check.ge(column.minimum))
    if column.maximum is not None:
        checks.append(pa.Check.le(column.maximum))
    return pa.Column(_DTYPES[column.dtype], checks=checks, nullable=column.nullable, description=column.description)
