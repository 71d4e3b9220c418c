"""The exported form: equal to the trained model, whole at every moment, and refused when anything is off."""

import datetime as dt
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.preprocessing import FunctionTransformer

from platform_assets.contracts.features import CUSTOMER_ACTIVITY
from platform_assets.modeling import safe_format
from platform_assets.modeling.export import (
    CorruptModel,
    champion_version,
    export_version,
    load_champion,
    make_probe,
    point_to,
)
from platform_assets.modeling.manifest import FORMAT, Manifest, digest
from platform_assets.modeling.safe_format import UntrustedModel
from platform_assets.modeling.train import Candidate, TrainingResult

Promote = Callable[..., Path]


def manifest_of(candidate: Candidate, content: bytes, matrix: np.ndarray, version: str, **changes: object) -> Manifest:
    """A manifest that is right unless told otherwise."""
    facts: dict[str, object] = {
        "format": FORMAT,
        "model": "churn",
        "version": version,
        "run_id": "r1",
        "algorithm": candidate.name,
        "feature_set": CUSTOMER_ACTIVITY.name,
        "feature_set_version": CUSTOMER_ACTIVITY.version,
        "feature_names": list(CUSTOMER_ACTIVITY.feature_names),
        "model_sha256": digest(content),
        "sklearn_version": "1",
        "metrics": candidate.evaluation.metrics(),
        "trained_at": dt.datetime(2017, 12, 1, tzinfo=dt.UTC),
        "evaluation_cutoff": dt.date(2017, 11, 1),
        "kind": "full",
        "probe": make_probe(matrix, candidate.probabilities),
    }
    return Manifest(**{**facts, **changes})  # type: ignore[arg-type]


@pytest.fixture
def promoted(tmp_path: Path, full_training: TrainingResult) -> Promote:
    """Exports a candidate of the full training and points to it; returns the folder of models."""

    def promote(name: str = "logistic", version: str = "1", **changes: object) -> Path:
        candidate, matrix = full_training.candidates[name], full_training.dataset.evaluation.matrix
        content = safe_format.to_bytes(candidate.estimator)
        manifest = manifest_of(candidate, content, matrix, version, **changes)
        pointer = export_version(tmp_path, manifest, content, matrix=matrix, probabilities=candidate.probabilities)
        point_to(tmp_path, "churn", pointer)
        return tmp_path

    return promote


@pytest.mark.parametrize("name", ["logistic", "gradient_boosting"])
def test_exported_model_predicts_what_the_trained_one_does(
    promoted: Promote, full_training: TrainingResult, name: str
) -> None:
    """On all 2,290 evaluation rows, nulls included."""
    model = load_champion(promoted(name), "churn")
    assert model is not None
    found = model.predict_proba(full_training.dataset.evaluation.matrix)
    np.testing.assert_allclose(found, full_training.candidates[name].probabilities, rtol=0, atol=1e-9)
    assert model.manifest.algorithm == name
    assert model.reads(CUSTOMER_ACTIVITY)


def test_nothing_promoted_is_none_and_no_error(tmp_path: Path) -> None:
    """The API starts before the first training."""
    assert load_champion(tmp_path, "churn") is None
    assert champion_version(tmp_path, "churn") is None


def test_pointer_moves_to_the_new_version_and_back(promoted: Promote) -> None:
    """Old versions stay, so a way back is one rename."""
    promoted("logistic", "1")
    folder = promoted("gradient_boosting", "2")
    assert champion_version(folder, "churn") == "2"
    promoted("logistic", "1")
    assert champion_version(folder, "churn") == "1"


def test_export_of_another_model_under_a_used_version_replaces_it_whole(promoted: Promote) -> None:
    """A new registry counts from 1 again; its model must not mix with the old one's files."""
    promoted("logistic", "1")
    folder = promoted("gradient_boosting", "1", run_id="r2")
    model = load_champion(folder, "churn")
    assert model is not None
    assert model.manifest.run_id == "r2"


def test_export_that_does_not_repeat_the_trained_predictions_is_refused(
    promoted: Promote, full_training: TrainingResult
) -> None:
    """Parity is proved before anything points to the model; the old champion stays."""
    folder = promoted("logistic", "1")
    candidate, matrix = full_training.best, full_training.dataset.evaluation.matrix
    content = safe_format.to_bytes(candidate.estimator)
    with pytest.raises(CorruptModel, match="off by"):
        export_version(
            folder,
            manifest_of(candidate, content, matrix, "2"),
            content,
            matrix=matrix,
            probabilities=candidate.probabilities + 1e-6,
        )
    assert champion_version(folder, "churn") == "1"


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.parametrize(
    ("damage", "cause"),
    [
        (lambda folder: _flip(folder / "1" / "model.skops"), "digest is not the one in manifest.json"),
        (lambda folder: _flip(folder / "1" / "manifest.json"), "digest is not the one in champion.json"),
        (lambda folder: (folder / "1" / "model.skops").unlink(), "No such file"),
        (lambda folder: shutil.rmtree(folder / "1"), "No such file"),
        (lambda folder: (folder / "champion.json").write_bytes(b"{"), "champion.json"),
        (lambda folder: (folder / "champion.json").write_bytes(b"\xff"), "champion.json"),
        (
            lambda folder: (folder / "champion.json").write_text(
                json.dumps({"version": "../../etc", "manifest_sha256": "0" * 64})
            ),
            "names no model or version",
        ),
    ],
    ids=["model bit", "manifest bit", "no model", "no folder", "torn pointer", "binary pointer", "pointer outside"],
)
def test_damaged_export_is_refused_with_its_cause(
    promoted: Promote, damage: Callable[[Path], object], cause: str
) -> None:
    """Never half a model, never another error than CorruptModel."""
    folder = promoted()
    damage(folder / "churn")
    with pytest.raises(CorruptModel, match=cause):
        load_champion(folder, "churn")


def _rebind(folder: Path, content: bytes, **changes: object) -> None:
    """Put other bytes in place with digests that fit: what someone with write access would do."""
    (folder / "1" / "model.skops").write_bytes(content)
    manifest = json.loads((folder / "1" / "manifest.json").read_text()) | {"model_sha256": digest(content)} | changes
    (folder / "1" / "manifest.json").write_text(json.dumps(manifest))
    pointer = {"version": "1", "manifest_sha256": digest((folder / "1" / "manifest.json").read_bytes())}
    (folder / "champion.json").write_text(json.dumps(pointer))


def test_model_with_code_in_it_is_refused_though_its_digests_fit(promoted: Promote) -> None:
    """Only our list of types counts, never the file's."""
    folder = promoted()
    _rebind(folder / "churn", skops.io.dumps(FunctionTransformer(func=subprocess.getoutput)))
    with pytest.raises(CorruptModel, match=r"types that are not trusted: .*getoutput"):
        load_champion(folder, "churn")


@pytest.mark.parametrize("content", [b"", b"\x80\x04N.", b"not a model"], ids=["empty", "pickle", "text"])
def test_file_that_is_no_skops_is_refused(promoted: Promote, content: bytes) -> None:
    """A pickle among them: nothing unpickles."""
    folder = promoted()
    _rebind(folder / "churn", content)
    with pytest.raises(CorruptModel, match="cannot be read"):
        load_champion(folder, "churn")


def test_skops_file_without_its_members_is_refused(promoted: Promote) -> None:
    """A zip with a schema of nothing."""
    folder = promoted()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("schema.json", "{}")
    _rebind(folder / "churn", buffer.getvalue())
    with pytest.raises(CorruptModel, match="cannot be read"):
        load_champion(folder, "churn")


def test_model_of_an_unknown_format_is_refused(promoted: Promote) -> None:
    """A later release may write what this one cannot read."""
    folder = promoted()
    _rebind(folder / "churn", (folder / "churn" / "1" / "model.skops").read_bytes(), format="skops-2")
    with pytest.raises(CorruptModel, match="format skops-2"):
        load_champion(folder, "churn")


def test_model_that_does_not_repeat_its_probe_is_refused(promoted: Promote, full_training: TrainingResult) -> None:
    """Another model's file under this manifest, digests fitting: as after a change in scikit-learn's meaning."""
    folder = promoted("logistic")
    other = full_training.candidates["gradient_boosting"].estimator
    _rebind(folder / "churn", safe_format.to_bytes(other))
    with pytest.raises(CorruptModel, match="does not repeat its own predictions"):
        load_champion(folder, "churn")


def test_type_beyond_the_list_is_refused_at_export_too() -> None:
    """Better at promotion than in the request process."""
    with pytest.raises(UntrustedModel, match="getoutput"):
        safe_format.to_bytes(FunctionTransformer(func=subprocess.getoutput))


def test_row_is_in_the_order_of_the_manifest_with_nulls_as_nan(promoted: Promote) -> None:
    """Features come by name from the online store."""
    model = load_champion(promoted(), "churn")
    assert model is not None
    names = model.manifest.feature_names
    values: dict[str, float | None] = {name: float(index) for index, name in enumerate(names)}
    row = model.row(dict(reversed({**values, names[3]: None}.items())))
    assert row.shape == (1, len(names))
    assert np.isnan(row[0, 3])
    assert row[0, 4] == 4.0
    with pytest.raises(ValueError, match=f"also reads {names[0]}"):
        model.row({name: value for name, value in values.items() if name != names[0]})
    with pytest.raises(ValueError, match="features, not shape"):
        model.predict_proba(np.zeros((1, 2)))


def test_reader_sees_a_whole_champion_while_another_is_promoted(promoted: Promote) -> None:
    """Promotions beside another process that reads in a loop: every load is one of the two, whole, soon the new one.

    Two processes, as in production. Two threads that parse at once can fail each other in Python 3.11: it counts for
    all of them together how deeply a syntax tree nests, and a finaliser that runs in the midst of it lets the other one
    go on ("AST constructor recursion depth mismatch"). numpy parses the header of every array that it reads.
    """
    champions = [("1", "logistic"), ("2", "gradient_boosting")]
    folder = promoted("logistic", "1")
    program = (
        "import pathlib, sys\n"
        "from platform_assets.modeling.export import load_champion\n"
        "while True:\n"
        "    loaded = load_champion(pathlib.Path(sys.argv[1]), 'churn').manifest\n"
        "    print(loaded.version, loaded.algorithm, flush=True)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(folder)], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        try:
            for version, algorithm in [*champions, *champions, *champions]:
                promoted(algorithm, version)
                for line in reader.stdout:
                    assert tuple(line.split()) in champions
                    if line.split() == [version, algorithm]:
                        break
                else:
                    pytest.fail(f"The reader ended with {reader.wait()}")
        finally:
            reader.kill()


def test_serving_works_where_mlflow_pandas_dagster_and_duckdb_are_not_installed(promoted: Promote) -> None:
    """The request process has none of them: with each import failing, it loads and predicts."""
    program = (
        "import pathlib, sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('mlflow', 'pandas', 'dagster', 'duckdb'):\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "import resources.online_store\n"
        "from platform_assets.modeling.export import load_champion\n"
        "model = load_champion(pathlib.Path(sys.argv[1]), 'churn')\n"
        "names = model.manifest.feature_names\n"
        "print(0 <= model.predict_proba(model.row(dict.fromkeys(names, 1.0)))[0] <= 1)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", program, str(promoted())], capture_output=True, text=True, check=False
    )
    assert (found.stdout.strip(), found.stderr) == ("True", "")
