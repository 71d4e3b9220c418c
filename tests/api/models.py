"""A small real champion and features for it."""

import datetime as dt
from pathlib import Path

import numpy as np
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.modeling import safe_format
from platform_assets.modeling.export import export_version, make_probe, point_to
from platform_assets.modeling.manifest import FORMAT, Manifest, digest
from resources.online_store import SqliteOnlineStore

AS_OF = dt.date(2017, 12, 1)
WIDTH = len(CUSTOMER_ACTIVITY.feature_names)


def promote(models_dir: Path, *, version: str, shift: float = 0.0, feature_set_version: int = 1) -> float:
    """Train, export and point to a model; returns its probability for the entity that `put_features` writes."""
    random = np.random.default_rng(7)
    matrix = random.random((200, WIDTH))
    labels = (matrix[:, 0] + shift * matrix[:, 1] + random.normal(0, 0.2, 200) > 0.5).astype(int)
    estimator = make_pipeline(SimpleImputer(), LogisticRegression()).fit(matrix, labels)
    probabilities = estimator.predict_proba(matrix)[:, 1]
    content = safe_format.to_bytes(estimator)
    manifest = Manifest(
        format=FORMAT,
        model="churn",
        version=version,
        run_id="r",
        algorithm="logistic",
        feature_set=CUSTOMER_ACTIVITY.name,
        feature_set_version=feature_set_version,
        feature_names=list(CUSTOMER_ACTIVITY.feature_names),
        model_sha256=digest(content),
        sklearn_version="1",
        metrics={},
        trained_at=dt.datetime(2017, 12, 1, tzinfo=dt.UTC),
        evaluation_cutoff=dt.date(2017, 11, 1),
        kind="full",
        probe=make_probe(matrix, probabilities),
    )
    pointer = export_version(models_dir, manifest, content, matrix=matrix, probabilities=probabilities)
    point_to(models_dir, "churn", pointer)
    return float(estimator.predict_proba(np.full((1, WIDTH), 0.5))[0, 1])


def put_features(path: Path) -> None:
    """Features of household 1228, all one half."""
    SqliteOnlineStore(path).put_features(
        CUSTOMER_ACTIVITY, AS_OF, [("1228", dict.fromkeys(CUSTOMER_ACTIVITY.feature_names, 0.5))]
    )
