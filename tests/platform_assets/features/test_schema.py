"""The pandera schema follows the contract."""

import pandas as pd
import pandera.errors
import pytest

from platform_assets.contracts.features import FeatureColumn, FeatureSet
from platform_assets.features.schema import feature_schema

SET = FeatureSet(
    name="tiny",
    version=1,
    entity="household",
    description="One count and one share.",
    columns=(
        FeatureColumn(name="orders", dtype="int", description="Orders.", minimum=1),
        FeatureColumn(name="share", dtype="float", description="Share.", minimum=0, maximum=1, nullable=True),
    ),
)


def frame(**changes: object) -> pd.DataFrame:
    """A valid frame of two rows, with columns replaced."""
    columns: dict[str, object] = {
        "entity_id": ["1", "2"],
        "cutoff_date": pd.to_datetime(["2017-11-01"] * 2).astype("datetime64[us]"),
        "orders": [1, 2],
        "share": [None, 0.5],
    }
    return pd.DataFrame({**columns, **changes})


def test_schema_takes_rows_that_keep_the_contract() -> None:
    """A null where it is allowed is fine."""
    assert len(feature_schema(SET).validate(frame())) == 2


@pytest.mark.parametrize(
    "changes",
    [
        {"orders": [0, 2]},
        {"orders": [1.0, None]},
        {"share": [1.01, 0.5]},
        {"entity_id": ["1", "1"]},
        {"entity_id": ["", "1"]},
        {"surplus": [1, 2]},
    ],
    ids=[
        "below the minimum",
        "null where none may be",
        "above the maximum",
        "key twice",
        "empty key",
        "unknown column",
    ],
)
def test_schema_refuses_rows_that_break_the_contract(changes: dict[str, object]) -> None:
    """Each rule on its own."""
    with pytest.raises(pandera.errors.SchemaErrors):
        feature_schema(SET).validate(frame(**changes), lazy=True)


def test_feature_set_refuses_a_name_twice() -> None:
    """The input vector is by name."""
    with pytest.raises(ValueError, match="names orders twice"):
        FeatureSet(name="x", version=1, entity="y", description="", columns=(SET.columns[0], SET.columns[0]))
