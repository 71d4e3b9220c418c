"""Writes a training down: a run with its numbers and rows, and the chosen model as a new version."""

import datetime as dt
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
import numpy as np
import pandas as pd

from platform_assets.modeling.dataset import LabelledRows
from platform_assets.modeling.safe_format import FloatArray
from platform_assets.modeling.train import TrainingResult
from resources.model_registry.registry import MlflowRegistry
from resources.model_registry.tracking import DatasetLineage
from resources.model_registry.transitions import give_alias
from resources.model_registry.versions import CHALLENGER, RegisteredVersion

EVALUATION_FILE = "evaluation/rows.npz"
CALIBRATION_FILE = "evaluation/calibration.json"


class VersionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a version needs to be exported, kept as its tags."""

    algorithm: str
    feature_set: str
    feature_set_version: int
    feature_names: list[str]
    sklearn_version: str
    trained_at: dt.datetime
    evaluation_cutoff: dt.date

    def as_tags(self) -> dict[str, str]:
        """Each fact as JSON."""
        return {
            f"fact.{name}": msgspec.json.encode(value).decode() for name, value in msgspec.structs.asdict(self).items()
        }

    @classmethod
    def of(cls, version: RegisteredVersion) -> "VersionFacts | None":
        """The facts of a version, or None for one that no training of the platform registered."""
        facts = {
            name.removeprefix("fact."): msgspec.json.decode(value)
            for name, value in version.tags.items()
            if name.startswith("fact.")
        }
        return msgspec.convert(facts, cls) if facts else None


@dataclass(frozen=True)
class EvaluationRows:
    """The held-out rows as the model saw them: `matrix` [n, features] and what it answered, `probabilities` [n]."""

    matrix: FloatArray
    probabilities: FloatArray


def log_training(
    registry: MlflowRegistry,
    model: str,
    result: TrainingResult,
    *,
    table: str,
    tags: Mapping[str, str] | None = None,
) -> RegisteredVersion:
    """Log one run and register its best model, which becomes the challenger.

    Args:
        registry: where to.
        model: the registered model's name, which is the experiment's too.
        result: what `train_churn` gave.
        table: where the rows came from, for their lineage, such as `features.customer_activity`.
        tags: of run and version, such as the id of the run that trained it.
    """
    from sklearn import __version__ as sklearn_version

    dataset, best = result.dataset, result.best
    experiment_id = registry.runs.experiment(model)
    run_id = registry.runs.start(experiment_id, f"{model} {dataset.plan.evaluation}", tags)
    succeeded = False
    try:
        registry.runs.log(
            run_id,
            parameters={
                "algorithm": best.name,
                "feature_set": f"{dataset.feature_set.name} v{dataset.feature_set.version}",
                "training_cutoffs": ", ".join(str(day) for day in dataset.plan.training),
                "evaluation_cutoff": dataset.plan.evaluation,
                **best.parameters,
            },
            metrics=result.metrics(),
        )
        for context, rows in (("training", dataset.train), ("evaluation", dataset.evaluation)):
            registry.runs.log_dataset(run_id, _lineage(table, context, rows))
        evaluation = EvaluationRows(dataset.evaluation.matrix, best.probabilities)
        registry.runs.write_file(run_id, EVALUATION_FILE, _pack(evaluation))
        registry.runs.write_file(run_id, CALIBRATION_FILE, msgspec.json.encode(best.evaluation.calibration))
        facts = VersionFacts(
            algorithm=best.name,
            feature_set=dataset.feature_set.name,
            feature_set_version=dataset.feature_set.version,
            feature_names=list(dataset.feature_set.feature_names),
            sklearn_version=sklearn_version,
            trained_at=dt.datetime.now(dt.UTC),
            evaluation_cutoff=dataset.plan.evaluation,
        )
        version = registry.register(
            model,
            best.estimator,
            experiment_id=experiment_id,
            run_id=run_id,
            feature_names=dataset.feature_set.feature_names,
            description=f"{best.name}, held out from {dataset.plan.evaluation} on",
            tags={**(tags or {}), **facts.as_tags()},
        )
        give_alias(registry, version, CHALLENGER, "newly trained")
        succeeded = True
    finally:
        registry.runs.end(run_id, succeeded=succeeded)
    return registry.version(model, version.version)


def evaluation_rows(registry: MlflowRegistry, run_id: str) -> EvaluationRows:
    """The evaluation rows of a run that `log_training` wrote.

    Raises:
        NotRegistered: the run kept none.
    """
    with np.load(io.BytesIO(registry.runs.read_file(run_id, EVALUATION_FILE)), allow_pickle=False) as found:
        return EvaluationRows(found["matrix"], found["probabilities"])


def _pack(rows: EvaluationRows) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, matrix=rows.matrix, probabilities=rows.probabilities)
    return buffer.getvalue()


def _lineage(table: str, context: str, rows: LabelledRows) -> DatasetLineage:
    content = hashlib.sha256(pd.util.hash_pandas_object(rows.frame, index=False).to_numpy().tobytes())
    content.update(rows.matrix.tobytes())
    content.update(rows.churned.tobytes())
    return DatasetLineage(
        name=f"{table} ({context})",
        table=table,
        digest=content.hexdigest(),
        context=context,
        profile={
            "rows": len(rows),
            "churned": int(rows.churned.sum()),
            "first_cutoff": str(rows.cutoffs.min()),
            "last_cutoff": str(rows.cutoffs.max()),
        },
    )
