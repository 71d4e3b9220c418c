"""The routes that data comes in and goes out by. A test holds them against the API's policy table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataRoute:
    """One route, or several that do the same, as an asset."""

    asset: str
    routes: tuple[str, ...]
    description: str

    @property
    def facts(self) -> dict[str, str]:
        """What a person should see of it."""
        return {"routes": ", ".join(self.routes)}


INGEST = DataRoute(
    "routes/ingest_events",
    (
        "POST /v1/events",
        "POST /v1/track",
        "POST /v1/identify",
        "POST /v1/page",
        "POST /v1/screen",
        "POST /v1/group",
        "POST /v1/alias",
        "POST /v1/batch",
    ),
    "Takes events; what breaks the contract is refused with the reason.",
)
PREDICT = DataRoute(
    "serving/predict_churn",
    ("POST /v1/predictions/{model}",),
    "The champion's probability that a household orders nothing for 28 days.",
)
NEWEST_PREDICTION = DataRoute(
    "routes/newest_prediction",
    ("GET /v1/predictions/{model}/{entity}",),
    "What the stream last predicted of an entity.",
)
METRIC = DataRoute("routes/metrics", ("GET /v1/metrics/{name}",), "A metric of the published marts, by day and more.")
DATA_ROUTES = (INGEST, PREDICT, NEWEST_PREDICTION, METRIC)
