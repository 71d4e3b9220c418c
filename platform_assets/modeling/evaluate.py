"""How well probabilities rank and how well they are calibrated, beside a rule that needs no model."""

from dataclasses import dataclass

import numpy as np
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from platform_assets.contracts.features import FeatureSet
from platform_assets.modeling.dataset import BoolArray, FloatArray, LabelledRows

RECENCY = "days_since_last_order"
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of similar predicted probability: what was predicted on average, and how many of them did churn."""

    rows: int
    mean_predicted: float
    observed: float


@dataclass(frozen=True)
class Evaluation:
    """Metrics over rows that the model never saw. AUC and average precision are None where one class is missing."""

    rows: int
    positives: int
    auc: float | None
    average_precision: float | None
    brier: float
    log_loss: float
    calibration: tuple[CalibrationBin, ...]

    @property
    def problem(self) -> str | None:
        """Why these numbers cannot carry a promotion, or None."""
        if self.auc is None:
            what = "no" if self.positives == 0 else "every"
            return f"{what} one of {self.rows} evaluation rows churned, so its ranking cannot be judged"
        return None

    def metrics(self) -> dict[str, float]:
        """The numbers by name; undefined ones are left out."""
        numbers = {
            "auc": self.auc,
            "average_precision": self.average_precision,
            "brier": self.brier,
            "log_loss": self.log_loss,
            "evaluation_rows": float(self.rows),
            "evaluation_positives": float(self.positives),
        }
        return {name: value for name, value in numbers.items() if value is not None}


def evaluate(churned: BoolArray, probabilities: FloatArray) -> Evaluation:
    """Judge probabilities of churn against outcomes, both of shape [n].

    Raises:
        ValueError: a probability is not a number from 0 to 1, or there are no rows.
    """
    if len(churned) == 0:
        raise ValueError("There are no rows to evaluate on.")
    if not bool(np.all((probabilities >= 0) & (probabilities <= 1))):  # false for NaN too
        raise ValueError("A predicted probability is not a number from 0 to 1.")
    both = bool(churned.any() and not churned.all())
    return Evaluation(
        rows=len(churned),
        positives=int(churned.sum()),
        auc=float(roc_auc_score(churned, probabilities)) if both else None,
        average_precision=float(average_precision_score(churned, probabilities)) if both else None,
        brier=float(brier_score_loss(churned, probabilities, pos_label=True)),
        log_loss=float(log_loss(churned, probabilities, labels=[False, True])),
        calibration=calibration(churned, probabilities),
    )


def recency_rule_auc(rows: LabelledRows, feature_set: FeatureSet) -> float | None:
    """AUC of "the longer the last order is ago, the likelier": what a model must beat. None with one class."""
    if not rows.has_both_classes:
        return None
    recency = rows.matrix[:, feature_set.feature_names.index(RECENCY)]
    return float(roc_auc_score(rows.churned, recency))


def calibration(
    churned: BoolArray, probabilities: FloatArray, bins: int = CALIBRATION_BINS
) -> tuple[CalibrationBin, ...]:
    """Rows in bins of equal size by predicted probability, lowest first; fewer bins where there are fewer rows."""
    order = np.argsort(probabilities, kind="stable")
    parts = np.array_split(order, min(bins, len(order)))
    return tuple(
        CalibrationBin(
            rows=len(part), mean_predicted=float(probabilities[part].mean()), observed=float(churned[part].mean())
        )
        for part in parts
    )
