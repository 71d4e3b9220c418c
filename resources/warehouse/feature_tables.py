"""Feature tables in the warehouse: one row per entity and cut-off, replaced as a whole."""

import datetime as dt
from typing import TYPE_CHECKING

import duckdb

from platform_assets.contracts.features import FeatureSet

if TYPE_CHECKING:
    import pandas as pd

_SQL_TYPES = {"int": "BIGINT", "float": "DOUBLE"}
_DTYPES = {"int": "int64", "float": "float64"}


class NoFeatures(LookupError):
    """The feature table is missing or empty."""


def table_of(feature_set: FeatureSet) -> str:
    """The table of a feature set."""
    return f"features.{feature_set.name}"


def write_features(connection: duckdb.DuckDBPyConnection, feature_set: FeatureSet, frame: "pd.DataFrame") -> None:
    """Replace the table by a frame with entity_id, cutoff_date and the features. Run it inside `Warehouse.write`."""
    columns = ", ".join(
        ["entity_id::VARCHAR AS entity_id", "cutoff_date::DATE AS cutoff_date"]
        + [f"{column.name}::{_SQL_TYPES[column.dtype]} AS {column.name}" for column in feature_set.columns]
    )
    connection.execute("CREATE SCHEMA IF NOT EXISTS features")
    connection.register("written_features", frame)
    try:
        connection.execute(
            f"CREATE OR REPLACE TABLE {table_of(feature_set)} AS "  # noqa: S608 - names of our contract
            f"SELECT {columns} FROM written_features ORDER BY cutoff_date, entity_id"
        )
    finally:
        connection.unregister("written_features")


def read_features(
    connection: duckdb.DuckDBPyConnection, feature_set: FeatureSet, cutoff: dt.date | None = None
) -> "pd.DataFrame":
    """The rows of one cut-off or of all, with the columns and dtypes of the feature set's schema, in order.

    Raises:
        NoFeatures: the table is not there.
    """
    names = ", ".join(["entity_id", "cutoff_date", *feature_set.feature_names])
    try:
        frame = connection.execute(
            f"SELECT {names} FROM {table_of(feature_set)} "  # noqa: S608 - names of our contract
            "WHERE $cutoff::DATE IS NULL OR cutoff_date = $cutoff::DATE ORDER BY cutoff_date, entity_id",
            {"cutoff": cutoff},
        ).df()
    except duckdb.CatalogException:
        raise NoFeatures(_remedy(feature_set)) from None
    return frame.astype(
        {
            "entity_id": "object",
            "cutoff_date": "datetime64[us]",
            **{column.name: _DTYPES[column.dtype] for column in feature_set.columns},
        }
    )


def newest_cutoff(connection: duckdb.DuckDBPyConnection, feature_set: FeatureSet) -> dt.date:
    """The cut-off that serves: all that the features know happened before it.

    Raises:
        NoFeatures: the table is missing or empty.
    """
    try:
        row = connection.execute(f"SELECT max(cutoff_date) FROM {table_of(feature_set)}").fetchone()  # noqa: S608
    except duckdb.CatalogException:
        row = None
    if row is None or not isinstance(row[0], dt.date):
        raise NoFeatures(_remedy(feature_set))
    return row[0]


def _remedy(feature_set: FeatureSet) -> str:
    return f"{table_of(feature_set)} holds nothing yet; materialise features/{feature_set.name} (churn_job does)."
