"""One picture of a training: how the candidates rank, whether the chosen one is calibrated, and what it looks at.

The tree of definitions imports every module in it, so scikit-learn and matplotlib are imported by the functions.
"""

import base64
import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from platform_assets.modeling.train import TrainingResult

_SHOWN_FEATURES = 12
_REPEATS = 3


def feature_importances(result: "TrainingResult") -> dict[str, float]:
    """By how much the AUC on the evaluation rows falls when one feature is shuffled, largest first; {} with one class.

    Source: Breiman 2001, permutation importance; mean of three shuffles.
    """
    from sklearn.inspection import permutation_importance
    from threadpoolctl import threadpool_limits

    rows = result.dataset.evaluation
    if not rows.has_both_classes:
        return {}
    with threadpool_limits(limits=1):
        found = permutation_importance(
            result.best.estimator,
            rows.matrix,
            rows.churned,
            scoring="roc_auc",
            n_repeats=_REPEATS,
            random_state=17,
        )
    by_name = zip(result.dataset.feature_set.feature_names, found.importances_mean, strict=True)
    return {name: float(value) for name, value in sorted(by_name, key=lambda item: -item[1])}


def draw_training(result: "TrainingResult", importances: dict[str, float]) -> str:
    """The picture as Markdown with the image inside, for a materialisation's metadata."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 4), layout="constrained")
    roc, calibration, bars = figure.subplots(1, 3)
    _draw_roc(roc, result)
    points = result.best.evaluation.calibration
    calibration.plot([0, 1], [0, 1], color="grey", linestyle=":")
    calibration.plot([point.mean_predicted for point in points], [point.observed for point in points], marker="o")
    calibration.set(title=f"Calibration of {result.best_name}", xlabel="predicted", ylabel="observed")
    shown = list(importances.items())[:_SHOWN_FEATURES][::-1]
    bars.barh([name for name, _ in shown], [value for _, value in shown])
    bars.set(title="AUC lost when shuffled")
    image = io.BytesIO()
    figure.savefig(image, format="png")
    return f"![churn](data:image/png;base64,{base64.b64encode(image.getvalue()).decode()})"


def _draw_roc(axes: "Axes", result: "TrainingResult") -> None:
    from sklearn.metrics import roc_curve

    from platform_assets.modeling.evaluate import RECENCY

    rows = result.dataset.evaluation
    recency = rows.matrix[:, result.dataset.feature_set.feature_names.index(RECENCY)]
    scores = {name: candidate.probabilities for name, candidate in result.candidates.items()}
    aucs = {name: candidate.evaluation.auc for name, candidate in result.candidates.items()}
    axes.plot([0, 1], [0, 1], color="grey", linestyle=":")
    if rows.has_both_classes:
        for name, values in {**scores, "recency rule": recency}.items():
            false_positives, true_positives, _ = roc_curve(rows.churned, values)
            label = f"{name} {aucs.get(name, result.rule_auc):.3f}"
            axes.plot(false_positives, true_positives, label=label)
        axes.legend(loc="lower right")
    axes.set(title="ROC on held-out rows", xlabel="false positives", ylabel="true positives")
