"""What the registry tells of a model's version, and how its failures read."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Alias = Literal["champion", "challenger"]
CHAMPION: Alias = "champion"
CHALLENGER: Alias = "challenger"

DIGEST_TAG = "model.sha256"


class RegistryError(RuntimeError):
    """The registry cannot do what was asked; the message names the object and the cause."""


class NotRegistered(RegistryError):
    """There is no such experiment, run, file, model or version."""


class DamagedModel(RegistryError):
    """The file of a version is missing, or is not the one that was registered."""


@dataclass(frozen=True)
class RegisteredVersion:
    """One version of a registered model, as the registry knew it when it was read."""

    name: str
    version: str
    run_id: str | None
    description: str
    aliases: tuple[str, ...]
    tags: Mapping[str, str] = field(default_factory=dict)


def as_registered(found: Any) -> RegisteredVersion:
    """MLflow's model version in our words."""
    return RegisteredVersion(
        name=str(found.name),
        version=str(found.version),
        run_id=found.run_id or None,
        description=found.description or "",
        aliases=tuple(sorted(found.aliases)),
        tags=dict(found.tags),
    )


@contextlib.contextmanager
def registry_errors(subject: str) -> Iterator[None]:
    """Raise MLflow's failures as ours, with what they were about.

    Raises:
        NotRegistered: it does not exist.
        RegistryError: anything else that MLflow refuses.
    """
    from mlflow.exceptions import MlflowException

    try:
        yield
    except MlflowException as error:
        kind = NotRegistered if error.error_code == "RESOURCE_DOES_NOT_EXIST" else RegistryError
        raise kind(f"The registry on {subject}: {error.message}") from error
