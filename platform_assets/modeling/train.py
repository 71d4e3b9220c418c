"""Training: candidates compete on the last training cut-off, and the winner is judged on the held-out one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics import log_loss
from threadpoolctl import threadpool_limits

from platform_assets.modeling.candidates import CANDIDATES
from platform_assets.modeling.dataset import ChurnDataset, LabelledRows
from platform_assets.modeling.evaluate import Evaluation, evaluate, recency_rule_auc
from platform_assets.modeling.safe_format import Classifier, FloatArray


class UntrainableDataset(ValueError):
    """The training rows hold one outcome only, so there is nothing to learn."""


@dataclass(frozen=True)
class Candidate:
    """A model fitted on all training rows, with its numbers.

    `selection_loss` is the log loss on the latest training cut-off of a model fitted on the earlier ones; None where
    those rows are too few to choose by. `probabilities` are those of the evaluation rows.
    """

    name: str
    estimator: Classifier
    parameters: dict[str, str]
    selection_loss: float | None
    probabilities: FloatArray
    evaluation: Evaluation


@dataclass(frozen=True)
class TrainingResult:
    """All candidates, the one that was chosen without looking at the evaluation rows, and the rule beside them."""

    dataset: ChurnDataset
    candidates: dict[str, Candidate]
    best_name: str
    rule_auc: float | None

    @property
    def best(self) -> Candidate:
        """The chosen candidate."""
        return self.candidates[self.best_name]

    def metrics(self) -> dict[str, float]:
        """The chosen candidate's metrics, the rule's AUC and the other candidates' AUC, by name."""
        numbers = dict(self.best.evaluation.metrics())
        numbers["train_rows"] = float(len(self.dataset.train))
        numbers["train_positives"] = float(self.dataset.train.churned.sum())
        if self.rule_auc is not None:
            numbers["rule_auc"] = self.rule_auc
        for candidate in self.candidates.values():
            if candidate.evaluation.auc is not None:
                numbers[f"{candidate.name}_auc"] = candidate.evaluation.auc
        return numbers


def train_churn(dataset: ChurnDataset) -> TrainingResult:
    """Fit and judge every candidate.

    The choice between candidates is made on the latest training cut-off, so that the evaluation stays a number about
    rows that nothing was fitted to or chosen by.

    Raises:
        UntrainableDataset: all training rows have the same outcome.
    """
    if not dataset.train.has_both_classes:
        what = "all" if dataset.train.churned.all() else "none"
        raise UntrainableDataset(
            f"Of {len(dataset.train)} training rows {what} churned, so there is nothing to learn; land more events or "
            "choose a later cut-off (ANALYTICS_CHURN__EVALUATION_CUTOFF)."
        )
    # One thread: on a shared machine OpenMP's waiting threads cost more than they bring at this size.
    with threadpool_limits(limits=1):
        candidates = {name: _fit(name, dataset) for name in CANDIDATES}
    # min keeps the first of equals, and `CANDIDATES` names the simpler first; without a selection it wins outright.
    best = min(candidates.values(), key=lambda item: np.inf if item.selection_loss is None else item.selection_loss)
    return TrainingResult(
        dataset=dataset,
        candidates=candidates,
        best_name=best.name,
        rule_auc=recency_rule_auc(dataset.evaluation, dataset.feature_set),
    )


def _fit(name: str, dataset: ChurnDataset) -> Candidate:
    estimator = CANDIDATES[name]()
    estimator.fit(dataset.train.matrix, dataset.train.churned)
    probabilities = np.asarray(estimator.predict_proba(dataset.evaluation.matrix)[:, 1], dtype=np.float64)
    return Candidate(
        name=name,
        estimator=estimator,
        parameters=_parameters(estimator),
        selection_loss=_selection_loss(name, dataset.train),
        probabilities=probabilities,
        evaluation=evaluate(dataset.evaluation.churned, probabilities),
    )


def _selection_loss(name: str, train: LabelledRows) -> float | None:
    latest = train.cutoffs == train.cutoffs.max()
    earlier, chosen_by = train.where(~latest), train.where(latest)
    if not (earlier.has_both_classes and chosen_by.has_both_classes):
        return None
    estimator = CANDIDATES[name]()
    estimator.fit(earlier.matrix, earlier.churned)
    return float(log_loss(chosen_by.churned, estimator.predict_proba(chosen_by.matrix)[:, 1], labels=[False, True]))


def _parameters(estimator: Any) -> dict[str, str]:
    """Its settings as text, without the parts of a pipeline: those are there by their own settings."""
    settings = estimator.get_params().items()
    return {key: str(value) for key, value in settings if key != "steps" and not hasattr(value, "fit")}
