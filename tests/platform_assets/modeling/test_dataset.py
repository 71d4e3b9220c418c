"""Joining and splitting: nothing is lost silently, and no training row knows the evaluation window."""

import datetime as dt
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.features.customer_activity import compute, label_churn
from platform_assets.modeling.cutoffs import CutoffPlan
from platform_assets.modeling.dataset import ChurnDataset, IncompleteDataset, build_dataset


def test_training_rows_do_not_depend_on_any_order_from_the_evaluation_cutoff_on(
    full_marts: duckdb.DuckDBPyConnection, full_dataset: ChurnDataset
) -> None:
    """No leakage: with every order from the evaluation cut-off on removed, the training rows are the same, outcomes
    included."""
    plan = full_dataset.plan
    then = full_marts.cursor()
    then.execute("ATTACH ':memory:' AS before_evaluation")
    then.execute("CREATE SCHEMA before_evaluation.marts")
    for table in ("fct_orders", "fct_order_lines"):
        then.execute(
            f"CREATE TABLE before_evaluation.marts.{table} AS FROM marts.{table} WHERE order_date < ?",
            [plan.evaluation],
        )
    then.execute("USE before_evaluation")
    try:
        features, labels = compute(then, plan.training), label_churn(then, plan.training)
    finally:
        then.execute("USE memory")
        then.execute("DETACH before_evaluation")
    assert len(features) == len(full_dataset.train)
    np.testing.assert_array_equal(full_dataset.train.churned, labels["churned"].to_numpy())
    np.testing.assert_array_equal(
        full_dataset.train.matrix, features[list(CUSTOMER_ACTIVITY.feature_names)].to_numpy(dtype=np.float64)
    )


def test_split_keeps_the_evaluation_cutoff_out_of_training(full_dataset: ChurnDataset) -> None:
    """By time, not at random."""
    evaluation = np.datetime64(full_dataset.plan.evaluation)
    assert set(full_dataset.evaluation.cutoffs) == {evaluation}
    assert (full_dataset.train.cutoffs + np.timedelta64(28, "D") <= evaluation).all()
    assert (len(full_dataset.train), len(full_dataset.evaluation)) == (16048, 2290)


PLAN = CutoffPlan(training=(dt.date(2017, 10, 4),), evaluation=dt.date(2017, 11, 1), serving=dt.date(2018, 1, 1))


def rows(*keys: tuple[str, str], **columns: Any) -> pd.DataFrame:
    """A frame of (entity, cut-off) keys."""
    frame = pd.DataFrame(keys, columns=["entity_id", "cutoff_date"]).assign(**columns)
    frame["cutoff_date"] = pd.to_datetime(frame["cutoff_date"])
    return frame


FEATURES = dict.fromkeys(CUSTOMER_ACTIVITY.feature_names, 1.0)


def test_build_refuses_features_without_a_label() -> None:
    """The two were computed from different marts."""
    features = rows(("1", "2017-10-04"), ("1", "2017-11-01"), **FEATURES)
    with pytest.raises(IncompleteDataset, match="first entity 1 at cut-off 2017-11-01"):
        build_dataset(features, rows(("1", "2017-10-04"), churned=True), PLAN, CUSTOMER_ACTIVITY)


def test_build_refuses_a_cutoff_without_rows() -> None:
    """An unmaterialised cut-off is not an empty one."""
    with pytest.raises(IncompleteDataset, match="2017-11-01"):
        build_dataset(
            rows(("1", "2017-10-04"), **FEATURES), rows(("1", "2017-10-04"), churned=True), PLAN, CUSTOMER_ACTIVITY
        )


def test_build_leaves_out_cutoffs_beyond_the_plan() -> None:
    """The serving rows stand in the same table and have no outcome."""
    keys = (("1", "2017-10-04"), ("1", "2017-11-01"))
    features = rows(*keys, ("1", "2018-01-01"), **FEATURES)
    dataset = build_dataset(features, rows(*keys, churned=[True, False]), PLAN, CUSTOMER_ACTIVITY)
    assert (len(dataset.train), len(dataset.evaluation)) == (1, 1)
