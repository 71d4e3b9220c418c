"""Models in their safe form, their versions and their aliases."""

import importlib.metadata
import tempfile
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from platform_assets.modeling import safe_format
from platform_assets.modeling.manifest import MODEL_FILE, digest, safe_name
from platform_assets.modeling.safe_format import Classifier
from resources.model_registry.database import open_client
from resources.model_registry.tracking import RunTracking
from resources.model_registry.versions import (
    CHAMPION,
    DIGEST_TAG,
    Alias,
    DamagedModel,
    NotRegistered,
    RegisteredVersion,
    RegistryError,
    as_registered,
    registry_errors,
)
from resources.settings import Settings

# Passed on so that MLflow does not import the model in a process of its own to find out (7 s).
_REQUIREMENTS = ("numpy", "scikit-learn", "skops")

_MOST_VERSIONS = 1_000


class MlflowRegistry:
    """Runs and models of one MLflow tracking URI; threads may share it.

    Args:
        uri: an MLflow tracking URI; `sqlite:///…` needs no server.
        artifact_root: where files go when the registry is SQLite.
    """

    def __init__(self, uri: str, artifact_root: Path) -> None:
        self.uri = uri
        self._artifact_root = artifact_root

    def prepare(self) -> None:
        """Make the database where it is missing, some 10 s; whatever else is called first would do it too."""
        _ = self._client

    @cached_property
    def runs(self) -> RunTracking:
        """Experiments and runs."""
        return RunTracking(self._client, self.uri, self._artifact_root)

    @cached_property
    def _client(self) -> Any:
        return open_client(self.uri)

    def register(
        self,
        name: str,
        estimator: Classifier,
        *,
        experiment_id: str,
        run_id: str | None = None,
        feature_names: Sequence[str] | None = None,
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> RegisteredVersion:
        """Store an estimator in its safe form, with signature and digest, as the next version of a model.

        Args:
            name: the registered model, made where it is missing.
            estimator: fitted on a matrix of shape [n, features].
            experiment_id: where it belongs.
            run_id: the run that trained it.
            feature_names: the columns of its input; default `feature_0`, `feature_1`, ….
            description: for people.
            tags: of the version.

        Raises:
            UntrustedModel: it holds a type that could not be loaded again.
            RegistryError: MLflow refuses it.
        """
        safe_format.to_bytes(estimator)  # refuses before anything is written
        names = list(feature_names or _default_names(estimator))
        with registry_errors(f"model {name}"), tempfile.TemporaryDirectory() as folder:
            saved = Path(folder) / "model"
            _save(estimator, names, saved)
            model_digest = digest((saved / MODEL_FILE).read_bytes())
            logged = self._client.create_logged_model(
                experiment_id, name=name, source_run_id=run_id, model_type="classifier"
            )
            self._client.log_model_artifacts(logged.model_id, str(saved))
            logged = self._client.finalize_logged_model(logged.model_id, "READY")
            self._ensure_model(name)
            found = self._client.create_model_version(
                name,
                source=logged.artifact_location,
                run_id=run_id,
                # No model_id: without a run MLflow would look it up on its global tracking URI, not on ours.
                description=description,
                tags={**(tags or {}), DIGEST_TAG: model_digest, "model.id": logged.model_id},
            )
        return self.version(name, str(found.version))

    def version(self, name: str, version: str) -> RegisteredVersion:
        """One version as it is now.

        Raises:
            NotRegistered: there is no such version.
        """
        with registry_errors(f"model {name} version {version}"):
            found = as_registered(self._client.get_model_version(name, version))
            # MLflow fills the aliases of a single version only on the registered model.
            aliases = self._client.get_registered_model(name).aliases
        held = tuple(sorted(alias for alias, holder in aliases.items() if str(holder) == found.version))
        return RegisteredVersion(**{**vars(found), "aliases": held})

    def versions(self, name: str) -> list[RegisteredVersion]:
        """Every version of a model, oldest first; none where there is no such model."""
        with registry_errors(f"model {name}"):
            found = self._client.search_model_versions(f"name = '{safe_name(name)}'", max_results=_MOST_VERSIONS)
        return [self.version(name, number) for number in sorted((str(one.version) for one in found), key=int)]

    def by_alias(self, name: str, alias: Alias) -> RegisteredVersion | None:
        """The version that holds an alias, or None where none does."""
        try:
            with registry_errors(f"model {name}"):
                holder = self._client.get_registered_model(name).aliases.get(alias)
        except NotRegistered:
            return None
        return None if holder is None else self.version(name, str(holder))

    def champion(self, name: str) -> RegisteredVersion | None:
        """The version that serves, or None before the first promotion."""
        return self.by_alias(name, CHAMPION)

    def set_alias(self, name: str, alias: Alias, version: str) -> None:
        """Give an alias to a version; whoever held it loses it."""
        with registry_errors(f"model {name} version {version}"):
            self._client.set_registered_model_alias(name, alias, version)

    def drop_alias(self, name: str, alias: Alias) -> None:
        """Take an alias away from whoever holds it."""
        with registry_errors(f"model {name}"):
            self._client.delete_registered_model_alias(name, alias)

    def tag_version(self, name: str, version: str, tags: Mapping[str, str]) -> None:
        """Write tags of a version."""
        with registry_errors(f"model {name} version {version}"):
            for key, value in tags.items():
                self._client.set_model_version_tag(name, version, key, value)

    def model_bytes(self, version: RegisteredVersion) -> bytes:
        """The estimator's file, digest checked.

        Raises:
            DamagedModel: it is missing, or is not the file that was registered.
        """
        expected = version.tags.get(DIGEST_TAG)
        if expected is None:
            raise DamagedModel(f"Model {version.name} version {version.version} was not registered by this platform.")
        subject = f"the file of model {version.name} version {version.version}"
        with registry_errors(subject):
            source = self._client.get_model_version_download_uri(version.name, version.version)
        try:
            content = self._download(f"{source}/{MODEL_FILE}", subject)
        except (OSError, NotRegistered) as error:
            raise DamagedModel(f"The registry on {subject}: {error}") from error
        if digest(content) != expected:
            raise DamagedModel(
                f"The file of {version.name} version {version.version} is not the one that was registered (its digest "
                "differs); register the model again."
            )
        return content

    def load(self, version: RegisteredVersion) -> Classifier:
        """The estimator, digest checked and read with our own list of types.

        Raises:
            DamagedModel: as `model_bytes`.
            UntrustedModel: it holds a type that is not on the list.
        """
        return safe_format.from_bytes(self.model_bytes(version))

    def _download(self, source: str, subject: str) -> bytes:
        with registry_errors(subject), tempfile.TemporaryDirectory() as folder:
            from mlflow.artifacts import download_artifacts

            found = download_artifacts(source, dst_path=folder, tracking_uri=self.uri, registry_uri=self.uri)
            return Path(found).read_bytes()

    def _ensure_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise


def registry_of(settings: Settings) -> MlflowRegistry:
    """The registry that a deployment chose."""
    return MlflowRegistry(settings.registry_uri, settings.root / "mlflow" / "artifacts")


def _save(estimator: Classifier, feature_names: list[str], folder: Path) -> None:
    import mlflow.sklearn
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    classes = len(getattr(estimator, "classes_", (False, True)))
    mlflow.sklearn.save_model(
        estimator,
        str(folder),
        signature=ModelSignature(
            inputs=Schema([ColSpec("double", name) for name in feature_names]),
            outputs=Schema([TensorSpec(np.dtype(np.float64), (-1, classes))]),
        ),
        pip_requirements=[f"{name}=={importlib.metadata.version(name)}" for name in _REQUIREMENTS],
        serialization_format=mlflow.sklearn.SERIALIZATION_FORMAT_SKOPS,
        skops_trusted_types=list(safe_format.TRUSTED_TYPES),
        pyfunc_predict_fn="predict_proba",
    )


def _default_names(estimator: Classifier) -> list[str]:
    width = getattr(estimator, "n_features_in_", None)
    if width is None:
        raise RegistryError("The model is not fitted: it does not know how many features it reads. Fit it first.")
    return [f"feature_{index}" for index in range(int(width))]
