"""Experiments and runs: what was tried, on which rows, with which numbers."""

import tempfile
import time
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from resources.model_registry.database import is_sqlite, one_process
from resources.model_registry.versions import registry_errors


class DatasetLineage(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that a run read: the table, a digest of them, what for, and counts worth showing."""

    name: str
    table: str
    digest: str
    context: str
    profile: dict[str, str | int]


class RunTracking:
    """Experiments and runs of one MLflow client."""

    def __init__(self, client: Any, uri: str, artifact_root: Path) -> None:
        self._client = client
        self._uri = uri
        self._artifact_root = artifact_root

    def experiment(self, name: str) -> str:
        """The id of the experiment of this name, made where it is missing."""
        location = None
        if is_sqlite(self._uri):  # a tracking server keeps artifacts where it likes
            location = f"{self._artifact_root.resolve().as_uri()}/{urllib.parse.quote(name, safe='')}"
        with registry_errors(f"experiment {name}"), one_process(self._uri):
            found = self._client.get_experiment_by_name(name)
            if found is not None:
                return str(found.experiment_id)
            return str(self._client.create_experiment(name, artifact_location=location))

    def start(self, experiment_id: str, name: str | None = None, tags: Mapping[str, str] | None = None) -> str:
        """Start a run and return its id.

        Raises:
            NotRegistered: there is no such experiment.
        """
        with registry_errors(f"experiment {experiment_id}"):
            return str(self._client.create_run(experiment_id, run_name=name, tags=dict(tags or {})).info.run_id)

    def end(self, run_id: str, *, succeeded: bool = True) -> None:
        """Mark a run as finished or failed."""
        with registry_errors(f"run {run_id}"):
            self._client.set_terminated(run_id, "FINISHED" if succeeded else "FAILED")

    def log(
        self,
        run_id: str,
        *,
        parameters: Mapping[str, object] | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
        step: int = 0,
    ) -> None:
        """Write parameters (as text), metrics and tags of a run.

        Raises:
            NotRegistered: there is no such run.
            RegistryError: a parameter already has another value.
        """
        with registry_errors(f"run {run_id}"):
            from mlflow.entities import Metric, Param, RunTag

            now = int(time.time() * 1000)
            self._client.log_batch(
                run_id,
                params=[Param(key, str(value)) for key, value in (parameters or {}).items()],
                metrics=[Metric(key, float(value), now, step) for key, value in (metrics or {}).items()],
                tags=[RunTag(key, value) for key, value in (tags or {}).items()],
                synchronous=True,
            )

    def log_dataset(self, run_id: str, dataset: DatasetLineage) -> None:
        """Say which rows a run read."""
        with registry_errors(f"run {run_id}"):
            from mlflow.entities import Dataset, DatasetInput, InputTag

            entity = Dataset(
                name=dataset.name,
                digest=dataset.digest[:36],  # the width of MLflow's column
                source_type="warehouse",
                source=msgspec.json.encode({"table": dataset.table}).decode(),
                profile=msgspec.json.encode(dataset.profile).decode(),
            )
            self._client.log_inputs(run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", dataset.context)])])

    def write_file(self, run_id: str, path: str, content: bytes) -> None:
        """Keep a file with a run, under a path relative to the run."""
        with registry_errors(f"run {run_id}"), tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / Path(path).name
            file.write_bytes(content)
            parent = Path(path).parent
            self._client.log_artifact(run_id, str(file), None if parent == Path() else str(parent))

    def read_file(self, run_id: str, path: str) -> bytes:
        """A file that `write_file` kept.

        Raises:
            NotRegistered: there is no such file.
        """
        with registry_errors(f"file {path} of run {run_id}"), tempfile.TemporaryDirectory() as folder:
            return Path(self._client.download_artifacts(run_id, path, folder)).read_bytes()

    def metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        with registry_errors(f"run {run_id}"):
            return {str(key): float(value) for key, value in self._client.get_run(run_id).data.metrics.items()}

    def parameters(self, run_id: str) -> dict[str, str]:
        """The parameters of a run, as text."""
        with registry_errors(f"run {run_id}"):
            return {str(key): str(value) for key, value in self._client.get_run(run_id).data.params.items()}
