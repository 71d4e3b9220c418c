"""The registry on real MLflow over SQLite: versions, promotion, and what happens when it is interrupted."""

import datetime as dt
import json
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.modeling import safe_format
from platform_assets.modeling.cutoffs import plan_cutoffs
from platform_assets.modeling.dataset import ChurnDataset, build_dataset
from platform_assets.modeling.export import CorruptModel, champion_version, load_champion
from platform_assets.modeling.gate import Verdict, decide
from platform_assets.modeling.safe_format import Classifier
from platform_assets.modeling.train import TrainingResult, train_churn
from resources.model_registry import CHALLENGER, CHAMPION, MlflowRegistry, RegisteredVersion, RegistryError
from resources.model_registry.promotion import Promotion, promote, publish_champion, score_champion
from resources.model_registry.training_record import evaluation_rows, log_training
from resources.model_registry.transitions import audit_trail
from resources.model_registry.versions import DIGEST_TAG, NotRegistered

YES = Verdict(True, "AUC 0.9, recency rule 0.8; first champion", "full")
NO = Verdict(False, "not better than the recency rule", "full")
TABLE = "features.customer_activity"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One database for the module: to make a fresh one takes seconds."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def registry(data_dir: Path) -> MlflowRegistry:
    """A prepared registry."""
    registry = MlflowRegistry(f"sqlite:///{data_dir / 'mlflow' / 'mlflow.db'}", data_dir / "mlflow" / "artifacts")
    registry.prepare()
    return registry


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """A model name of the test's own."""
    return str(request.node.name.removeprefix("test_")[:60])


@pytest.fixture(scope="module")
def dataset() -> ChurnDataset:
    """Made-up rows with nulls, in which the first features tell who churns."""
    plan = plan_cutoffs(dt.date(2017, 1, 1), dt.date(2017, 7, 1))
    random = np.random.default_rng(7)
    features, labels = [], []
    for cutoff in plan.labelled:
        churned = random.random(60) < 0.3
        matrix = random.random((60, len(CUSTOMER_ACTIVITY.columns))) + 0.6 * churned[:, None]
        matrix[::5, 13] = np.nan
        keys = {"entity_id": [f"{i:02}" for i in range(60)], "cutoff_date": pd.Timestamp(cutoff)}
        features.append(pd.DataFrame({**keys, **dict(zip(CUSTOMER_ACTIVITY.feature_names, matrix.T, strict=True))}))
        labels.append(pd.DataFrame({**keys, "churned": churned}))
    return build_dataset(pd.concat(features), pd.concat(labels), plan, CUSTOMER_ACTIVITY)


@pytest.fixture(scope="module")
def result(dataset: ChurnDataset) -> TrainingResult:
    """A training on them."""
    return train_churn(dataset)


def test_training_is_written_down_with_numbers_rows_and_a_version(
    registry: MlflowRegistry, model: str, result: TrainingResult
) -> None:
    """All that an export needs later can be read back from the registry alone."""
    version = log_training(registry, model, result, table=TABLE, tags={"dagster.run_id": "d1"})
    assert version.run_id is not None
    assert version.aliases == (CHALLENGER,)
    assert version.tags["dagster.run_id"] == "d1"
    assert registry.runs.metrics(version.run_id) == pytest.approx(result.metrics())
    assert registry.runs.parameters(version.run_id)["algorithm"] == result.best_name
    rows = evaluation_rows(registry, version.run_id)
    np.testing.assert_array_equal(rows.matrix, result.dataset.evaluation.matrix)
    np.testing.assert_array_equal(rows.probabilities, result.best.probabilities)
    found = registry.load(version).predict_proba(rows.matrix)[:, 1]
    np.testing.assert_allclose(found, rows.probabilities, rtol=0, atol=1e-12)


def test_run_names_the_rows_that_it_read(registry: MlflowRegistry, model: str, result: TrainingResult) -> None:
    """The lineage as MLflow itself shows it."""
    from mlflow import MlflowClient

    version = log_training(registry, model, result, table=TABLE)
    assert version.run_id is not None
    run = MlflowClient(registry.uri).get_run(version.run_id)
    assert run.inputs is not None
    inputs = {tag.value: found.dataset for found in run.inputs.dataset_inputs for tag in found.tags}
    assert json.loads(inputs["training"].source) == {"table": TABLE}
    assert json.loads(str(inputs["evaluation"].profile))["rows"] == len(result.dataset.evaluation)
    assert inputs["training"].digest != inputs["evaluation"].digest
    assert run.info.status == "FINISHED"


def test_logged_model_has_signature_and_pinned_requirements_and_no_pickle(
    registry: MlflowRegistry, model: str, result: TrainingResult, data_dir: Path
) -> None:
    """What others will load it with."""
    version = log_training(registry, model, result, table=TABLE)
    folder = data_dir / "mlflow" / "artifacts" / model / "models" / version.tags["model.id"] / "artifacts"
    assert {file.name for file in folder.iterdir()} >= {"MLmodel", "model.skops", "requirements.txt"}
    assert not list(folder.rglob("*.pkl"))
    pinned = dict(line.split("==") for line in (folder / "requirements.txt").read_text().split())
    assert pinned.keys() == {"mlflow", "numpy", "scikit-learn", "skops"}


def test_logged_model_works_in_mlflow_itself_with_features_by_name(
    registry: MlflowRegistry, model: str, result: TrainingResult, data_dir: Path
) -> None:
    """Its signature carries the names, and MLflow's own loader gives the same probabilities."""
    import mlflow.pyfunc

    version = log_training(registry, model, result, table=TABLE)
    folder = data_dir / "mlflow" / "artifacts" / model / "models" / version.tags["model.id"] / "artifacts"
    loaded = mlflow.pyfunc.load_model(str(folder))
    assert loaded.metadata.signature.inputs.input_names() == list(CUSTOMER_ACTIVITY.feature_names)
    rows = pd.DataFrame(result.dataset.evaluation.matrix, columns=list(CUSTOMER_ACTIVITY.feature_names))
    found = loaded.predict(rows)
    np.testing.assert_allclose(found[:, 1], result.best.probabilities, rtol=0, atol=1e-12)


def test_promotion_makes_the_champion_serve(
    registry: MlflowRegistry, model: str, result: TrainingResult, tmp_path: Path
) -> None:
    """Alias, export and pointer agree, and the audit says when and why."""
    assert registry.champion(model) is None
    promotion = promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), YES)
    served = load_champion(tmp_path, model)
    assert served is not None
    assert promotion.serving == served.manifest.version == promotion.version.version
    assert promotion.version.aliases == (CHAMPION,)
    assert registry.by_alias(model, CHALLENGER) is None
    assert served.manifest.metrics == pytest.approx(result.metrics())
    assert (served.manifest.kind, served.manifest.feature_names) == ("full", list(CUSTOMER_ACTIVITY.feature_names))
    assert [entry.split(" ", 1)[1] for entry in audit_trail(promotion.version)] == [
        "challenger: newly trained",
        f"champion: {YES.reason}",
    ]


def test_promotion_repeated_changes_nothing(
    registry: MlflowRegistry, model: str, result: TrainingResult, tmp_path: Path
) -> None:
    """A retried run: same files, same pointer, no second audit entry."""
    version = log_training(registry, model, result, table=TABLE)

    def state() -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in sorted(tmp_path.rglob("*")) if path.is_file()}

    first = promote(registry, tmp_path, version, YES)
    files = state()
    assert promote(registry, tmp_path, version, YES) == first
    assert state() == files


def test_refused_version_stays_challenger_and_the_champion_serves_on(
    registry: MlflowRegistry, model: str, result: TrainingResult, tmp_path: Path
) -> None:
    """And the reason stands on the version."""
    first = promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), YES)
    second = promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), NO)
    assert second.serving == first.version.version
    assert second.version.aliases == (CHALLENGER,)
    assert second.version.tags["gate.reason"] == NO.reason
    assert champion_version(tmp_path, model) == first.version.version


def test_refused_first_version_leaves_nothing_serving(
    registry: MlflowRegistry, model: str, result: TrainingResult, tmp_path: Path
) -> None:
    """No champion is an answer too."""
    promotion = promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), NO)
    assert promotion.serving is None
    assert load_champion(tmp_path, model) is None


@pytest.mark.parametrize("step", ["export_version", "give_alias", "point_to"])
def test_promotion_interrupted_before_any_step_is_completed_by_repeating_it(
    registry: MlflowRegistry,
    result: TrainingResult,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """Until then the old champion serves, whole."""
    model = f"interrupted_before_{step}"
    old = promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), YES)
    version = log_training(registry, model, result, table=TABLE)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(f"resources.model_registry.promotion.{step}", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(registry, tmp_path, version, YES)
    served = load_champion(tmp_path, model)
    assert served is not None
    assert served.manifest.version == old.version.version
    assert _serving(promote(registry, tmp_path, version, YES)) == version.version
    assert champion_version(tmp_path, model) == version.version


def _serving(promotion: Promotion) -> str | None:
    champion = CHAMPION in promotion.version.aliases
    return promotion.serving if champion else None


def test_champion_is_exported_again_where_its_files_were_lost(
    registry: MlflowRegistry, model: str, result: TrainingResult, tmp_path: Path
) -> None:
    """The registry is the truth; the serving folder can be rebuilt from it."""
    promote(registry, tmp_path / "lost", log_training(registry, model, result, table=TABLE), YES)
    assert publish_champion(registry, tmp_path / "new", model) is not None
    assert load_champion(tmp_path / "new", model) is not None
    assert publish_champion(registry, tmp_path, "never_trained") is None


def test_damaged_model_file_is_never_promoted(
    registry: MlflowRegistry, model: str, result: TrainingResult, tmp_path: Path, data_dir: Path
) -> None:
    """The digest stands in the registry, the file beside it; the old champion serves on."""
    old = promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), YES)
    version = log_training(registry, model, result, table=TABLE)
    artifacts = data_dir / "mlflow" / "artifacts" / model / "models" / version.tags["model.id"] / "artifacts"
    (artifacts / "model.skops").write_bytes(pickle.dumps({"not": "a model"}))
    with pytest.raises(RegistryError, match="digest"):
        promote(registry, tmp_path, version, YES)
    champion = registry.champion(model)
    assert champion is not None
    assert champion.version == old.version.version == champion_version(tmp_path, model)


def test_export_that_differs_from_training_is_never_promoted(
    registry: MlflowRegistry, model: str, result: TrainingResult, tmp_path: Path
) -> None:
    """Parity is against what the model answered when it was trained."""
    version = log_training(registry, model, result, table=TABLE)
    other = registry.register(
        model,
        result.candidates["gradient_boosting" if result.best_name == "logistic" else "logistic"].estimator,
        experiment_id=registry.runs.experiment(model),
        run_id=version.run_id,
        tags={key: value for key, value in version.tags.items() if key.startswith("fact.")},
    )
    with pytest.raises(CorruptModel):
        promote(registry, tmp_path, other, YES)
    assert registry.champion(model) is None
    assert load_champion(tmp_path, model) is None


def test_gate_compares_with_the_champion_on_the_same_rows(
    registry: MlflowRegistry, model: str, result: TrainingResult, dataset: ChurnDataset, tmp_path: Path
) -> None:
    """The same model again has the same AUC, so it is not worse."""
    assert score_champion(registry, model, dataset) is None
    promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), YES)
    champion = score_champion(registry, model, dataset)
    assert champion is not None
    assert champion.auc == pytest.approx(result.best.evaluation.auc)
    assert decide(auc=result.best.evaluation.auc, rule_auc=0.0, champion=champion, expects_full_data=True).promote
    assert not decide(auc=1.0, rule_auc=0.0, champion=champion, expects_full_data=False).promote


def test_champion_of_another_feature_set_cannot_be_compared(
    registry: MlflowRegistry, model: str, result: TrainingResult, dataset: ChurnDataset, tmp_path: Path
) -> None:
    """Its inputs would mean something else."""
    import dataclasses

    promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), YES)
    newer = dataclasses.replace(dataset, feature_set=dataclasses.replace(CUSTOMER_ACTIVITY, version=2))
    champion = score_champion(registry, model, newer)
    assert champion is not None
    assert champion.auc is None


def test_champion_whose_file_is_damaged_cannot_be_compared(
    registry: MlflowRegistry, model: str, result: TrainingResult, tmp_path: Path, data_dir: Path
) -> None:
    """It does not keep a good model out for ever."""
    promoted = promote(registry, tmp_path, log_training(registry, model, result, table=TABLE), YES).version
    folder = data_dir / "mlflow" / "artifacts" / model / "models" / promoted.tags["model.id"] / "artifacts"
    (folder / "model.skops").unlink()
    champion = score_champion(registry, model, result.dataset)
    assert champion is not None
    assert (champion.version, champion.auc) == (promoted.version, None)


def _random_forest() -> Classifier:
    random = np.random.default_rng(0)
    matrix = random.random((50, 3))
    forest: Classifier = RandomForestClassifier(10, random_state=0).fit(matrix, matrix[:, 0] > 0.5)
    return forest


def _register(registry: MlflowRegistry, model: str, estimator: Classifier) -> RegisteredVersion:
    return registry.register(model, estimator, experiment_id=registry.runs.experiment(model))


def test_versions_count_up_and_an_alias_has_one_holder(registry: MlflowRegistry, model: str) -> None:
    """A random forest too, without names for its features."""
    first, second = (_register(registry, model, _random_forest()) for _ in range(2))
    assert (first.version, second.version) == ("1", "2")
    registry.set_alias(model, CHAMPION, "1")
    registry.set_alias(model, CHAMPION, "2")
    assert registry.version(model, "1").aliases == ()
    assert registry.version(model, "2").aliases == (CHAMPION,)


def test_model_with_types_beyond_the_list_is_refused_before_anything_is_written(
    registry: MlflowRegistry, model: str
) -> None:
    """A subclass of our own stands for any code."""

    class Sneaky(LogisticRegression):  # type: ignore[misc]
        pass

    estimator = Sneaky().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(safe_format.UntrustedModel):
        _register(registry, model, estimator)
    with pytest.raises(NotRegistered):
        registry.version(model, "1")


def test_unfitted_model_is_refused_with_the_remedy(registry: MlflowRegistry, model: str) -> None:
    """It has no inputs yet."""
    with pytest.raises(RegistryError, match="Fit it first"):
        _register(registry, model, LogisticRegression())


def test_model_that_was_not_registered_here_is_not_loaded(registry: MlflowRegistry, model: str) -> None:
    """Without a digest of ours nothing is read."""
    version = _register(registry, model, _random_forest())
    stranger = RegisteredVersion(
        version.name, version.version, None, "", (), {k: v for k, v in version.tags.items() if k != DIGEST_TAG}
    )
    with pytest.raises(RegistryError, match="not registered by this platform"):
        registry.load(stranger)


def test_unknown_things_are_named(registry: MlflowRegistry) -> None:
    """Model, version, run and file."""
    with pytest.raises(NotRegistered, match="model nobody version 1"):
        registry.version("nobody", "1")
    with pytest.raises(NotRegistered, match="run 00000000000000000000000000000000"):
        registry.runs.metrics("0" * 32)
    assert registry.by_alias("nobody", CHAMPION) is None


def test_versions_of_a_model_are_listed_oldest_first(
    registry: MlflowRegistry, model: str, result: TrainingResult
) -> None:
    """None of a model that nobody registered."""
    assert registry.versions("nobody") == []
    made = [log_training(registry, model, result, table="features.customer_activity").version for _ in range(2)]
    assert [one.version for one in registry.versions(model)] == made
    assert "challenger" in registry.versions(model)[-1].aliases
