"""The specification's example of experiment tracking, run as it stands against real MLflow on SQLite.

Only the import path is changed, and `train_segmentation_model` is given a body.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from platform_assets.modeling.gate import Verdict
from platform_assets.modeling.safe_format import UntrustedModel
from platform_assets.sdk import ExperimentTracker, ModelRegistry
from platform_assets.sdk.model_registry import TransitionRefused
from resources.model_registry import MlflowRegistry, registry_of
from resources.model_registry.transitions import audit_trail
from resources.model_registry.versions import NotRegistered, RegistryError
from resources.settings import load_settings


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One data folder for the module: to make a fresh database takes seconds."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(autouse=True)
def defaults(monkeypatch: pytest.MonkeyPatch, data_dir: Path) -> None:
    """The classes are used with their defaults, which come from the settings."""
    monkeypatch.setenv("ANALYTICS_DATA_DIR", str(data_dir))


@pytest.fixture
def registry_behind(defaults: None) -> MlflowRegistry:
    """What stands behind the classes, to read back what they wrote."""
    return registry_of(load_settings())


def train_segmentation_model() -> RandomForestClassifier:
    """Ten trees on made-up users."""
    random = np.random.default_rng(1)
    users = random.random((200, 4))
    return RandomForestClassifier(n_estimators=10, max_depth=10, random_state=1).fit(users, users[:, 0] > users[:, 1])


async def test_example_of_the_specification_runs_and_can_be_read_back(registry_behind: MlflowRegistry) -> None:
    """Parameters, metrics, description and stage, read from MLflow and not from the objects that wrote them."""
    tracker = ExperimentTracker()
    registry = ModelRegistry()
    runs: dict[str, Any] = {}

    async def train_and_register_model() -> None:
        # Start experiment
        experiment = await tracker.create_experiment("user_segmentation_v2")
        run = await tracker.start_run(experiment.experiment_id)

        # Log parameters and metrics
        await tracker.log_parameters(run.run_id, {"algorithm": "random_forest", "n_estimators": 100, "max_depth": 10})

        # Train model (your training code)
        model = train_segmentation_model()

        # Log results
        await tracker.log_metrics(run.run_id, {"accuracy": 0.87, "precision": 0.85, "recall": 0.89})

        # Register model for deployment
        model_version = await registry.register_model(
            name="user_segmentation", model=model, description="Random Forest user segmentation model v2"
        )

        # Promote to staging
        await registry.transition_model(model_version.name, model_version.version, "staging")
        runs.update(run=run, version=model_version)

    await train_and_register_model()

    run_id = runs["run"].run_id
    assert registry_behind.runs.parameters(run_id) == {
        "algorithm": "random_forest",
        "n_estimators": "100",
        "max_depth": "10",
    }
    assert registry_behind.runs.metrics(run_id) == {"accuracy": 0.87, "precision": 0.85, "recall": 0.89}
    stored = registry_behind.version("user_segmentation", runs["version"].version)
    assert stored.aliases == ("challenger",)
    assert stored.description == "Random Forest user segmentation model v2"
    assert audit_trail(stored)[-1].endswith("challenger: transitioned to staging")

    loaded = await registry.get_model("user_segmentation", stage="staging")
    users = np.random.default_rng(2).random((20, 4))
    np.testing.assert_allclose(loaded.predict_proba(users), train_segmentation_model().predict_proba(users))


async def test_experiment_of_the_same_name_is_the_same() -> None:
    """A script that runs twice adds a run to its experiment."""
    tracker = ExperimentTracker()
    first = await tracker.create_experiment("again")
    assert await tracker.create_experiment("again") == first
    run = await tracker.start_run(first.experiment_id, "named")
    await tracker.log_metrics(run.run_id, {"loss": 2.0}, step=1)
    await tracker.log_metrics(run.run_id, {"loss": 1.0}, step=2)
    await tracker.end_run(run.run_id)
    assert await tracker.get_metrics(run.run_id) == {"loss": 1.0}


async def test_parameter_is_not_overwritten() -> None:
    """What a run was made with cannot change afterwards."""
    tracker = ExperimentTracker()
    run = await tracker.start_run((await tracker.create_experiment("fixed")).experiment_id)
    await tracker.log_parameters(run.run_id, {"depth": 3})
    with pytest.raises(RegistryError, match="depth"):
        await tracker.log_parameters(run.run_id, {"depth": 4})
    assert await tracker.get_parameters(run.run_id) == {"depth": "3"}


async def test_production_is_for_the_gate_to_grant() -> None:
    """Unjudged is refused, refused is refused with its reason, granted is served under that stage."""
    version = await ModelRegistry().register_model("user_churn_predictor", train_segmentation_model(), "")
    with pytest.raises(TransitionRefused, match="the gate has not judged it"):
        await ModelRegistry().transition_model(version.name, version.version, "production")
    strict = ModelRegistry(gate=lambda _: Verdict(False, "AUC 0.510 is no better than a coin", "full"))
    with pytest.raises(TransitionRefused, match="no better than a coin"):
        await strict.transition_model(version.name, version.version, "production")
    with pytest.raises(NotRegistered, match="no version in production"):
        await ModelRegistry().get_model("user_churn_predictor", stage="production")

    kind = ModelRegistry(gate=lambda _: Verdict(True, "AUC 0.910", "full"))
    promoted = await kind.transition_model(version.name, version.version, "production")
    assert promoted.aliases == ("champion",)
    assert audit_trail(promoted)[-1].endswith("champion: AUC 0.910")
    model = await ModelRegistry().get_model("user_churn_predictor", stage="production")
    assert (model.version, model.stage) == (version.version, "production")


async def test_unknown_stage_names_the_ones_there_are() -> None:
    """A typing mistake must not read as "no version"."""
    with pytest.raises(ValueError, match="choose one of production, staging"):
        await ModelRegistry().get_model("user_churn_predictor", stage="prod")


async def test_model_with_code_of_its_own_is_refused() -> None:
    """What cannot be loaded safely is not stored."""

    class Homemade(RandomForestClassifier):  # type: ignore[misc]
        pass

    with pytest.raises(UntrustedModel):
        await ModelRegistry().register_model("homemade", Homemade(2).fit([[0.0], [1.0]], [0, 1]), "")
