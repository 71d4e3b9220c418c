"""What is read back is what was written, null for null."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest

from platform_assets.contracts.features import FeatureColumn, FeatureSet
from resources.warehouse import Warehouse
from resources.warehouse.feature_tables import NoFeatures, newest_cutoff, read_features, write_features

VISITS = FeatureSet(
    name="visits",
    version=1,
    entity="visitor",
    columns=(
        FeatureColumn(name="visits_7d", dtype="int", description="Visits."),
        FeatureColumn(name="gap_days", dtype="float", description="Mean gap.", nullable=True),
    ),
    description="One row per visitor and cut-off.",
)


def frame(*rows: tuple[str, str, int, float]) -> pd.DataFrame:
    made = pd.DataFrame(list(rows), columns=["entity_id", "cutoff_date", "visits_7d", "gap_days"])
    return made.astype({"entity_id": "object", "cutoff_date": "datetime64[us]"})


def test_features_are_read_as_they_were_written(warehouse: Warehouse) -> None:
    written = frame(("a", "2026-01-01", 1, np.nan), ("a", "2026-02-01", 2, 3.5), ("b", "2026-02-01", 7, 0.1))
    with warehouse.write("features") as connection:
        write_features(connection, VISITS, written)
    with warehouse.read() as connection:
        pd.testing.assert_frame_equal(read_features(connection, VISITS), written)
        newest = read_features(connection, VISITS, newest_cutoff(connection, VISITS))
    assert list(newest["entity_id"]) == ["a", "b"]


def test_second_write_replaces_the_first(warehouse: Warehouse) -> None:
    for value in (1, 2):
        with warehouse.write("features") as connection:
            write_features(connection, VISITS, frame(("a", "2026-01-01", value, 0.0)))
    with warehouse.read() as connection:
        assert list(read_features(connection, VISITS)["visits_7d"]) == [2]
        assert newest_cutoff(connection, VISITS) == dt.date(2026, 1, 1)


def test_missing_table_names_the_asset_that_makes_it(warehouse: Warehouse) -> None:
    with warehouse.write("features") as connection:
        with pytest.raises(NoFeatures, match="materialise features/visits"):
            read_features(connection, VISITS)
        with pytest.raises(NoFeatures, match="materialise features/visits"):
            newest_cutoff(connection, VISITS)
