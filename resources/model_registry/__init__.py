"""The model registry: MLflow behind plain classes, and promotion by alias through the gate.

Importing this package does not import mlflow (5 s); the first call that needs it does.
"""

from resources.model_registry.registry import MlflowRegistry, registry_of
from resources.model_registry.versions import CHALLENGER, CHAMPION, Alias, RegisteredVersion, RegistryError

__all__ = ["CHALLENGER", "CHAMPION", "Alias", "MlflowRegistry", "RegisteredVersion", "RegistryError", "registry_of"]
