"""The kinds of model that compete. Seeds are fixed: the same rows give the same model."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SEED = 17


def logistic() -> Any:
    """Logistic regression on standardised features; an undefined feature is its median and an indicator."""
    return make_pipeline(
        # keep_empty_features: on a small sample a feature can be undefined in every row.
        SimpleImputer(strategy="median", add_indicator=True, keep_empty_features=True),
        StandardScaler(),
        LogisticRegression(C=1.0, max_iter=2000, random_state=SEED),
    )


def gradient_boosting() -> Any:
    """Small boosted trees that treat NaN as a value of its own; early stopping would cost rows that are few."""
    return HistGradientBoostingClassifier(
        max_iter=100,
        learning_rate=0.05,
        max_leaf_nodes=8,
        min_samples_leaf=40,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=SEED,
    )


CANDIDATES: Mapping[str, Callable[[], Any]] = MappingProxyType(
    {"logistic": logistic, "gradient_boosting": gradient_boosting}
)
"""Unfitted candidates by name, the simpler first: it wins a draw."""
