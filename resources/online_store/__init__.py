"""The online store: what a request or the stream looks up by key, read in well under a millisecond.

SQLite in WAL mode, a file per writing process: batch features (Dagster's runs), live features (the stream worker) and
in-stream predictions (the scorer). Nothing beyond the standard library and msgspec, since the request process imports
this.
"""

from resources.online_store.database import OnlineStoreError
from resources.online_store.features import FeatureVector, OnlineStore, SqliteOnlineStore, StoredFeatures
from resources.online_store.live import LiveStore, LiveVector, SqliteLiveStore
from resources.online_store.predictions import PredictionStore, SqlitePredictionStore

__all__ = [
    "FeatureVector",
    "LiveStore",
    "LiveVector",
    "OnlineStore",
    "OnlineStoreError",
    "PredictionStore",
    "SqliteLiveStore",
    "SqliteOnlineStore",
    "SqlitePredictionStore",
    "StoredFeatures",
]
