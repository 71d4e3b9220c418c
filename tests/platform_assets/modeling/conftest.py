"""Trainings on the real data, made once a test run, and small made-up rows for everything else."""

import datetime as dt
from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd
import pytest

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.features.customer_activity import compute, label_churn
from platform_assets.features.order_span import order_span
from platform_assets.modeling.cutoffs import plan_cutoffs
from platform_assets.modeling.dataset import ChurnDataset, build_dataset
from platform_assets.modeling.train import TrainingResult, train_churn

CUTOFF = dt.date(2017, 11, 1)


def _real_dataset(marts: duckdb.DuckDBPyConnection) -> ChurnDataset:
    span = order_span(marts)
    plan = plan_cutoffs(span.first, span.as_of, CUTOFF)
    return build_dataset(compute(marts, plan.all), label_churn(marts, plan.labelled), plan, CUSTOMER_ACTIVITY)


@pytest.fixture(scope="session")
def full_dataset(full_marts: duckdb.DuckDBPyConnection) -> ChurnDataset:
    """All households, held out from 2017-11-01 on."""
    return _real_dataset(full_marts)


@pytest.fixture(scope="session")
def full_training(full_dataset: ChurnDataset) -> TrainingResult:
    """The training on all households."""
    return train_churn(full_dataset)


@pytest.fixture(scope="session")
def sample_dataset(sample_marts: duckdb.DuckDBPyConnection) -> ChurnDataset:
    """The first 100 households, held out from 2017-11-01 on."""
    return _real_dataset(sample_marts)


MakeDataset = Callable[..., ChurnDataset]


@pytest.fixture
def make_dataset() -> MakeDataset:
    """Made-up rows: `train_churned` and `evaluation_churned` say how many of 40 churn at each cut-off."""

    def make(train_churned: int = 10, evaluation_churned: int = 10) -> ChurnDataset:
        plan = plan_cutoffs(dt.date(2017, 7, 1), dt.date(2017, 12, 1), CUTOFF)
        random = np.random.default_rng(3)
        features, labels = [], []
        for cutoff in plan.labelled:
            churned = np.arange(40) < (evaluation_churned if cutoff == plan.evaluation else train_churned)
            keys = {"entity_id": [f"{i:02}" for i in range(40)], "cutoff_date": pd.Timestamp(cutoff)}
            noise = random.random((40, len(CUSTOMER_ACTIVITY.columns))) + churned[:, None]
            noise[::7, 14] = np.nan
            features.append(pd.DataFrame({**keys, **dict(zip(CUSTOMER_ACTIVITY.feature_names, noise.T, strict=True))}))
            labels.append(pd.DataFrame({**keys, "churned": churned}))
        return build_dataset(pd.concat(features), pd.concat(labels), plan, CUSTOMER_ACTIVITY)

    return make
