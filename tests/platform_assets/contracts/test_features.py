"""Feature sets: each feature once, and live ones from windows that exist."""

import pytest

from platform_assets.contracts.features import (
    CUSTOMER_ACTIVITY,
    CUSTOMER_LIVE,
    FEATURE_SETS,
    FeatureColumn,
    LiveFeatureSet,
    LiveSource,
)


def live_set(*sources: LiveSource) -> LiveFeatureSet:
    """A set with one feature."""
    columns = (FeatureColumn(name="a", dtype="float", description=""),)
    return LiveFeatureSet(name="s", version=1, entity="household", columns=columns, sources=sources, description="")


def test_feature_sets_are_found_by_name_and_version() -> None:
    assert FEATURE_SETS["customer_activity", 1] is CUSTOMER_ACTIVITY
    assert FEATURE_SETS["customer_live", 1] is CUSTOMER_LIVE
    assert CUSTOMER_LIVE.windows == ("user_activity_1m", "user_session_30m")


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ((), "give each of its 1 features a source"),
        ((LiveSource(window="user_activity_1m", value="units"),), "no window user_activity_1m has a value units"),
        ((LiveSource(window="nothing", value="count"),), "no window nothing"),
    ],
    ids=["missing", "unknown value", "unknown window"],
)
def test_live_feature_set_refuses_a_source_that_no_window_has(sources: tuple[LiveSource, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        live_set(*sources)
