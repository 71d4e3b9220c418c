"""The stages of the graph. A stage is the group of its assets and the first part of their keys."""

import enum

from dagster import AssetKey

PLATFORM_TEAM = "team:platform"
DATA_TEAM = "team:data"
ML_TEAM = "team:ml"

WAREHOUSE_POOL = "warehouse_writer"
"""One step at a time writes the warehouse. The file lock is the guard; the pool keeps steps from waiting on it."""


class Stage(enum.Enum):
    """In the order in which an event passes them."""

    ROUTES = "routes"
    LOG = "log"
    LANDING = "landing"
    SOURCES = "sources"
    RAW = "raw"
    QUALITY = "quality"
    STAGING = "staging"
    INTERMEDIATE = "intermediate"
    MARTS = "marts"
    FEATURES = "features"
    MODELS = "models"
    SERVING = "serving"
    INFERENCE = "inference"

    @property
    def group(self) -> str:
        """The name of the stage's group: a plain string, since Dagster serialises no enum but its own."""
        return self.value

    def key(self, noun: str) -> AssetKey:
        """The key of an asset of this stage."""
        return AssetKey([self.value, noun])
