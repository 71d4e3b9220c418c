"""The safe form of an estimator: skops, read with our own list of types and never with the file's."""

import threading
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import skops.io

FloatArray = npt.NDArray[np.float64]

TRUSTED_TYPES = (
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""What a model may hold beyond skops' own defaults: the type of an array's elements and
scikit-learn's compiled trees, which hold numbers and no code."""

# numpy reads the head of each array with ast.literal_eval, and CPython 3.11 counts the depth of that over all threads:
# two loads at once ended in "SystemError: AST constructor recursion depth mismatch" (python/cpython#106905).
_reading = threading.Lock()


class Classifier(Protocol):
    """A fitted scikit-learn classifier of two classes."""

    def predict_proba(self, matrix: Any, /) -> FloatArray:
        """Probabilities of shape [n, 2], the second column that of the positive class."""


class UntrustedModel(ValueError):
    """The bytes are no skops file, or hold a type that is not on our list."""


def to_bytes(estimator: Classifier) -> bytes:
    """The estimator in skops form.

    Raises:
        UntrustedModel: it holds a type that could not be loaded again.
    """
    content: bytes = skops.io.dumps(estimator)
    _refuse_unknown_types(content)
    return content


def from_bytes(content: bytes) -> Classifier:
    """The estimator of bytes whose digest the caller has checked.

    Raises:
        UntrustedModel: naming the types that are not trusted, or why the file cannot be read.
    """
    _refuse_unknown_types(content)
    try:
        with _reading:
            estimator: Classifier = skops.io.loads(content, trusted=list(TRUSTED_TYPES))
    except Exception as error:  # a damaged file raises whatever its damage leads to
        raise UntrustedModel(f"The model cannot be read: {type(error).__name__}: {error}") from error
    return estimator


def _refuse_unknown_types(content: bytes) -> None:
    try:
        with _reading:
            unknown = set(skops.io.get_untrusted_types(data=content)) - set(TRUSTED_TYPES)
    except Exception as error:  # as above
        raise UntrustedModel(f"The model cannot be read: {type(error).__name__}: {error}") from error
    if unknown:
        raise UntrustedModel(f"The model holds types that are not trusted: {', '.join(sorted(unknown))}")
