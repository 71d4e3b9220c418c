"""The platform's public Python classes: thin faces, with working defaults, over what the platform itself runs on.

Names are resolved when they are first used, so that one class does not bring the libraries of all others.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from platform_assets.sdk.data_lineage import DataLineageTracker
    from platform_assets.sdk.data_quality import DataQualityFramework, create_common_expectations
    from platform_assets.sdk.experiment_tracker import ExperimentTracker
    from platform_assets.sdk.model_registry import ModelRegistry

__all__ = [
    "DataLineageTracker",
    "DataQualityFramework",
    "ExperimentTracker",
    "ModelRegistry",
    "create_common_expectations",
]

_HOMES = {
    "DataLineageTracker": "platform_assets.sdk.data_lineage",
    "DataQualityFramework": "platform_assets.sdk.data_quality",
    "create_common_expectations": "platform_assets.sdk.data_quality",
    "ExperimentTracker": "platform_assets.sdk.experiment_tracker",
    "ModelRegistry": "platform_assets.sdk.model_registry",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
