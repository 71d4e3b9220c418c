"""Track experiments: what was tried and with which numbers."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from resources.model_registry import MlflowRegistry, registry_of
from resources.settings import load_settings


@dataclass(frozen=True)
class Experiment:
    """A named series of runs."""

    experiment_id: str
    name: str


@dataclass(frozen=True)
class Run:
    """One attempt within an experiment."""

    run_id: str
    experiment_id: str


class ExperimentTracker:
    """Experiments and runs in the platform's registry; by default the one that `ANALYTICS_REGISTRY__URI` names.

    MLflow blocks, so each call works in a thread and the event loop stays free.
    """

    def __init__(self, registry: MlflowRegistry | None = None) -> None:
        self._registry = registry or registry_of(load_settings())

    async def create_experiment(self, name: str) -> Experiment:
        """The experiment of this name; made where it is missing."""
        experiment_id = await asyncio.to_thread(lambda: self._registry.runs.experiment(name))
        return Experiment(experiment_id, name)

    async def start_run(self, experiment_id: str, name: str | None = None) -> Run:
        """Start a run.

        Raises:
            NotRegistered: there is no such experiment.
        """
        run_id = await asyncio.to_thread(lambda: self._registry.runs.start(experiment_id, name))
        return Run(run_id, experiment_id)

    async def log_parameters(self, run_id: str, parameters: Mapping[str, object]) -> None:
        """Write parameters, as text.

        Raises:
            NotRegistered: there is no such run.
            RegistryError: a parameter already has another value.
        """
        await asyncio.to_thread(lambda: self._registry.runs.log(run_id, parameters=parameters))

    async def log_metrics(self, run_id: str, metrics: Mapping[str, float], step: int = 0) -> None:
        """Write metrics of a step.

        Raises:
            NotRegistered: there is no such run.
        """
        await asyncio.to_thread(lambda: self._registry.runs.log(run_id, metrics=metrics, step=step))

    async def get_parameters(self, run_id: str) -> dict[str, str]:
        """The parameters of a run, as text."""
        return await asyncio.to_thread(lambda: self._registry.runs.parameters(run_id))

    async def get_metrics(self, run_id: str) -> dict[str, float]:
        """The last value of each metric of a run."""
        return await asyncio.to_thread(lambda: self._registry.runs.metrics(run_id))

    async def end_run(self, run_id: str, *, succeeded: bool = True) -> None:
        """Mark a run as finished or failed."""
        await asyncio.to_thread(lambda: self._registry.runs.end(run_id, succeeded=succeeded))
