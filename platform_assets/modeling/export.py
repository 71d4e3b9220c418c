"""Export of a promoted model and its loading for serving.

    <models_dir>/<model>/<version>/model.skops      the estimator in its safe form
    <models_dir>/<model>/<version>/manifest.json    what it is, with the digest of model.skops
    <models_dir>/<model>/champion.json              which version serves, with the digest of its manifest

The pointer is replaced last and at once, so a reader sees the old champion or the new one, whole.
Imported by the request process: no mlflow, no pandas.
"""

import math
import secrets
import shutil
from pathlib import Path

import msgspec
import numpy as np
from threadpoolctl import ThreadpoolController

from platform_assets.contracts.features import FeatureSet
from platform_assets.modeling import safe_format
from platform_assets.modeling.manifest import (
    FORMAT,
    MANIFEST_FILE,
    MODEL_FILE,
    POINTER_FILE,
    Manifest,
    Pointer,
    Probe,
    digest,
    safe_name,
    sync_folder,
    write_durably,
)
from platform_assets.modeling.safe_format import Classifier, FloatArray, UntrustedModel

PARITY = 1e-9
"""The largest difference between the probabilities of the trained model and those of its exported form."""

PROBE_ROWS = 5


class CorruptModel(RuntimeError):
    """An exported model that must not serve; the message names the file and what is wrong with it."""


class ServableModel:
    """A loaded champion. Safe to share between threads."""

    def __init__(self, manifest: Manifest, estimator: Classifier) -> None:
        self.manifest = manifest
        self._estimator = estimator
        # Looking for thread pools takes milliseconds, so once; limiting them takes microseconds, so at each call: the
        # limit of OpenMP belongs to the thread that set it.
        self._threads = ThreadpoolController()

    def predict_proba(self, matrix: FloatArray) -> FloatArray:
        """Probabilities of the positive class, shape [n], for rows of shape [n, features]; NaN is a null feature.

        Raises:
            ValueError: the matrix has another number of columns than the model has features.
        """
        width = len(self.manifest.feature_names)
        if matrix.ndim != 2 or matrix.shape[1] != width:
            raise ValueError(
                f"The model {self.manifest.model} reads rows of {width} features, not shape {matrix.shape}."
            )
        with self._threads.limit(limits=1):
            return np.asarray(self._estimator.predict_proba(matrix)[:, 1], dtype=np.float64)

    def reads(self, feature_set: FeatureSet) -> bool:
        """True if the model learned this version of this feature set."""
        return (self.manifest.feature_set, self.manifest.feature_set_version) == (feature_set.name, feature_set.version)

    def row(self, values: dict[str, float | None]) -> FloatArray:
        """One input of shape [1, features] from features by name; a null becomes NaN.

        Raises:
            ValueError: a feature that the model reads is missing.
        """
        missing = [name for name in self.manifest.feature_names if name not in values]
        if missing:
            raise ValueError(f"The model {self.manifest.model} also reads {', '.join(missing)}.")
        ordered = [values[name] for name in self.manifest.feature_names]
        return np.array([[math.nan if value is None else value for value in ordered]], dtype=np.float64)


def make_probe(matrix: FloatArray, probabilities: FloatArray) -> Probe:
    """The first rows of the evaluation with the trained model's probabilities."""
    return Probe(
        rows=[[None if math.isnan(cell) else float(cell) for cell in row] for row in matrix[:PROBE_ROWS]],
        probabilities=[float(value) for value in probabilities[:PROBE_ROWS]],
    )


def export_version(
    models_dir: Path, manifest: Manifest, content: bytes, *, matrix: FloatArray, probabilities: FloatArray
) -> Pointer:
    """Write the model's folder if it is not there yet and prove it; nothing serves it yet. Safe to repeat.

    Args:
        models_dir: the folder of all exported models.
        manifest: describes `content`.
        content: the estimator as `safe_format.to_bytes` gives it.
        matrix: the evaluation rows, shape [n, features].
        probabilities: what the trained model gave for them, shape [n].

    Raises:
        CorruptModel: the exported form does not give these probabilities.
    """
    folder = models_dir / safe_name(manifest.model)
    version_folder = folder / safe_name(manifest.version)
    if not _holds(version_folder, manifest):
        _write_version(folder, version_folder, manifest, content)
    pointer = Pointer(version=manifest.version, manifest_sha256=digest(_encode(manifest)))
    exported = _load(version_folder, pointer)
    worst = float(np.max(np.abs(exported.predict_proba(matrix) - probabilities), initial=0.0))
    if not worst < PARITY:
        raise CorruptModel(
            f"{version_folder}: the exported model is off by {worst:.2e} from the trained one on {len(matrix)} rows."
        )
    return pointer


def point_to(models_dir: Path, model: str, pointer: Pointer) -> None:
    """Make an exported version the one that serves, at once and durably. Safe to repeat."""
    write_durably(models_dir / safe_name(model) / POINTER_FILE, msgspec.json.format(msgspec.json.encode(pointer)))


def champion_version(models_dir: Path, model: str) -> str | None:
    """The version that serves, or None where nothing was promoted. Cheap: for a reader that waits for a new one.

    Raises:
        CorruptModel: the pointer cannot be read.
    """
    pointer = _read_pointer(models_dir / safe_name(model) / POINTER_FILE)
    return None if pointer is None else pointer.version


def load_champion(models_dir: Path, model: str) -> ServableModel | None:
    """The model that the pointer names, digests and predictions checked; None where nothing was promoted.

    Raises:
        CorruptModel: naming the file and what is wrong with it.
    """
    folder = models_dir / safe_name(model)
    pointer = _read_pointer(folder / POINTER_FILE)
    if pointer is None:
        return None
    try:
        return _load(folder / safe_name(pointer.version), pointer)
    except ValueError as error:
        raise CorruptModel(f"{folder / POINTER_FILE}: {error}") from error


def _read_pointer(path: Path) -> Pointer | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Pointer)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptModel(f"{path}: {error}") from error


def _load(folder: Path, pointer: Pointer) -> ServableModel:
    manifest_path, model_path = folder / MANIFEST_FILE, folder / MODEL_FILE
    try:
        manifest_bytes, content = manifest_path.read_bytes(), model_path.read_bytes()
    except OSError as error:
        raise CorruptModel(f"{folder}: {error}") from error
    if digest(manifest_bytes) != pointer.manifest_sha256:
        raise CorruptModel(f"{manifest_path}: its digest is not the one in {POINTER_FILE}.")
    try:
        manifest = msgspec.json.decode(manifest_bytes, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CorruptModel(f"{manifest_path}: {error}") from error
    if manifest.format != FORMAT:
        raise CorruptModel(f"{manifest_path}: format {manifest.format}; this release reads {FORMAT}.")
    if digest(content) != manifest.model_sha256:
        raise CorruptModel(f"{model_path}: its digest is not the one in {MANIFEST_FILE}.")
    try:
        model = ServableModel(manifest, safe_format.from_bytes(content))
    except UntrustedModel as error:
        raise CorruptModel(f"{model_path}: {error}") from error
    _prove(model, model_path)
    return model


def _prove(model: ServableModel, path: Path) -> None:
    # Another release of scikit-learn may read the file and mean something else by it: the probe would show that.
    probe = model.manifest.probe
    matrix = np.array(probe.rows, dtype=np.float64)  # None becomes NaN
    try:
        found = model.predict_proba(matrix)
    except Exception as error:  # an estimator that does not fit its manifest raises whatever it meets
        raise CorruptModel(f"{path}: it cannot score its probe: {type(error).__name__}: {error}") from error
    if not np.allclose(found, probe.probabilities, rtol=0, atol=PARITY):
        raise CorruptModel(
            f"{path}: it does not repeat its own predictions. It was exported with scikit-learn "
            f"{model.manifest.sklearn_version}; with another release, train and promote again."
        )


def _holds(folder: Path, manifest: Manifest) -> bool:
    """True if the folder already holds this very model."""
    try:
        return (folder / MANIFEST_FILE).read_bytes() == _encode(manifest) and digest(
            (folder / MODEL_FILE).read_bytes()
        ) == manifest.model_sha256
    except FileNotFoundError:
        return False


def _write_version(folder: Path, version_folder: Path, manifest: Manifest, content: bytes) -> None:
    building = folder / f".{manifest.version}.{secrets.token_hex(4)}.tmp"
    building.mkdir(parents=True)
    try:
        write_durably(building / MODEL_FILE, content)
        write_durably(building / MANIFEST_FILE, _encode(manifest))
        if version_folder.exists():
            # A torn folder, or one of an earlier registry that counted from 1 too: kept aside, never mixed.
            version_folder.rename(folder / f".{manifest.version}.{secrets.token_hex(4)}.replaced")
        building.rename(version_folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)  # gone already, unless something failed on the way
    sync_folder(folder)


def _encode(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest))
