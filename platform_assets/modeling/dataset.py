"""Features joined with outcomes and split by time."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from platform_assets.contracts.features import FeatureSet
from platform_assets.modeling.cutoffs import CutoffPlan

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

KEY = ["entity_id", "cutoff_date"]


class IncompleteDataset(ValueError):
    """Features and labels do not cover the same entities and cut-offs."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows in one order: `frame` with entity_id and cutoff_date, `matrix` of shape [n, features], `churned` [n]."""

    frame: pd.DataFrame
    matrix: FloatArray
    churned: BoolArray

    def __len__(self) -> int:
        return len(self.churned)

    @property
    def has_both_classes(self) -> bool:
        """True if some churned and some did not: without that nothing can be learned or ranked."""
        return bool(self.churned.any() and not self.churned.all())

    def where(self, mask: BoolArray) -> "LabelledRows":
        """The rows of a mask of shape [n]."""
        return LabelledRows(self.frame[mask].reset_index(drop=True), self.matrix[mask], self.churned[mask])

    @property
    def cutoffs(self) -> npt.NDArray[np.datetime64]:
        """The cut-off of each row, shape [n]."""
        return self.frame["cutoff_date"].to_numpy(dtype="datetime64[D]")


@dataclass(frozen=True)
class ChurnDataset:
    """What a model learns from and what it is judged on; no training outcome reaches into the evaluation window."""

    feature_set: FeatureSet
    plan: CutoffPlan
    train: LabelledRows
    evaluation: LabelledRows


def feature_matrix(frame: pd.DataFrame, feature_set: FeatureSet) -> FloatArray:
    """The model's input, shape [n, features] in the order of the feature set; a null is NaN.

    Raises:
        KeyError: the frame lacks a feature.
    """
    return frame[list(feature_set.feature_names)].to_numpy(dtype=np.float64, na_value=np.nan)


def build_dataset(
    features: pd.DataFrame, labels: pd.DataFrame, plan: CutoffPlan, feature_set: FeatureSet
) -> ChurnDataset:
    """Join by (entity_id, cutoff_date) and split at the evaluation cut-off.

    Args:
        features: as `features.customer_activity.compute` gives them; further cut-offs are left out.
        labels: as `features.customer_activity.label_churn` gives them.
        plan: the cut-offs.
        feature_set: the features and their order.

    Raises:
        IncompleteDataset: a labelled row has no features, features have no label, or a cut-off has no row at all.
    """
    wanted = pd.to_datetime(list(plan.labelled))
    mine = features[features["cutoff_date"].isin(wanted)]
    known = labels[labels["cutoff_date"].isin(wanted)]
    joined = mine.merge(known, on=KEY, how="outer", validate="1:1", indicator="found_in")
    lonely = joined[joined["found_in"] != "both"]
    if len(lonely):
        first = lonely.iloc[0]
        raise IncompleteDataset(
            f"{len(lonely)} rows are in features or labels only, first entity {first['entity_id']} at cut-off "
            f"{first['cutoff_date']:%Y-%m-%d}; compute both from the same marts."
        )
    empty = [day for day in wanted if not (joined["cutoff_date"] == day).any()]
    if empty:
        raise IncompleteDataset(f"No entity was active before cut-off {empty[0]:%Y-%m-%d}; materialise its features.")
    joined = joined.sort_values(["cutoff_date", "entity_id"], ignore_index=True)
    rows = LabelledRows(joined[KEY], feature_matrix(joined, feature_set), joined["churned"].to_numpy(dtype=np.bool_))
    held_out = rows.cutoffs == np.datetime64(plan.evaluation)
    return ChurnDataset(feature_set, plan, train=rows.where(~held_out), evaluation=rows.where(held_out))
