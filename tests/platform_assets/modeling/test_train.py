"""Training on the real data reaches the numbers that the platform claims, and poor data gets a clear answer."""

from collections.abc import Callable

import numpy as np
import pytest

from platform_assets.modeling.dataset import ChurnDataset
from platform_assets.modeling.gate import decide
from platform_assets.modeling.train import TrainingResult, UntrainableDataset, train_churn


def test_churn_auc_on_unseen_households_is_at_least_080_and_beats_the_recency_rule(
    full_training: TrainingResult,
) -> None:
    """The claim of the README, on 2,290 rows of 2017-11-01 that nothing was fitted to or chosen by."""
    auc, rule = full_training.best.evaluation.auc, full_training.rule_auc
    assert auc is not None
    assert rule is not None
    assert rule == pytest.approx(0.773, abs=0.002)
    assert auc >= 0.84
    for candidate in full_training.candidates.values():
        assert candidate.evaluation.auc is not None
        assert candidate.evaluation.auc > rule + 0.05


def test_churn_probabilities_are_calibrated(full_training: TrainingResult) -> None:
    """They are shown to people, so their size has to mean something."""
    for part in full_training.best.evaluation.calibration:
        assert part.mean_predicted == pytest.approx(part.observed, abs=0.08)


def test_training_twice_gives_the_same_model(full_training: TrainingResult) -> None:
    """Seeds are fixed and one thread sums in one order."""
    again = train_churn(full_training.dataset)
    assert again.best_name == full_training.best_name
    for name, candidate in full_training.candidates.items():
        np.testing.assert_array_equal(candidate.probabilities, again.candidates[name].probabilities)


def test_choice_between_candidates_ignores_the_evaluation_rows(full_training: TrainingResult) -> None:
    """With the evaluation outcomes turned round the same candidate wins."""
    dataset = full_training.dataset
    turned = ChurnDataset(
        dataset.feature_set,
        dataset.plan,
        dataset.train,
        type(dataset.evaluation)(dataset.evaluation.frame, dataset.evaluation.matrix, ~dataset.evaluation.churned),
    )
    assert train_churn(turned).best_name == full_training.best_name


def test_sample_of_100_households_trains_and_is_promoted_as_bootstrap(sample_dataset: ChurnDataset) -> None:
    """Five of 98 churn: enough to rank, too few to compare, so the gate takes it only into an empty registry."""
    result = train_churn(sample_dataset)
    verdict = decide(auc=result.best.evaluation.auc, rule_auc=result.rule_auc, champion=None, expects_full_data=False)
    assert (result.best.evaluation.rows, result.best.evaluation.positives) == (98, 5)
    assert verdict.promote
    assert verdict.kind == "bootstrap"


MakeDataset = Callable[..., ChurnDataset]


@pytest.mark.parametrize(("churned", "word"), [(0, "none"), (40, "all")])
def test_training_rows_of_one_class_are_refused_with_the_reason(
    make_dataset: MakeDataset, churned: int, word: str
) -> None:
    """A classifier of one class is no classifier."""
    with pytest.raises(UntrainableDataset, match=f"{word} churned"):
        train_churn(make_dataset(train_churned=churned))


def test_evaluation_rows_of_one_class_give_a_verdict_and_no_exception(make_dataset: MakeDataset) -> None:
    """The model exists, and the gate says why it is not promoted."""
    result = train_churn(make_dataset(evaluation_churned=0))
    assert result.rule_auc is None
    assert "auc" not in result.metrics()
    best = result.best.evaluation
    verdict = decide(auc=best.auc, rule_auc=None, champion=None, expects_full_data=False, problem=best.problem)
    assert not verdict.promote
    assert "no one of 40 evaluation rows churned" in verdict.reason


def test_one_training_cutoff_is_too_little_to_choose_by_so_the_simpler_model_wins(make_dataset: MakeDataset) -> None:
    """No choice is made on the rows that judge."""
    dataset = make_dataset()
    assert len(dataset.plan.training) == 1
    result = train_churn(dataset)
    assert result.best_name == "logistic"
    assert result.best.selection_loss is None
