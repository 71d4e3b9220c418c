"""ANALYTICS_METRICS__…: what questions about metrics may take of the API's process."""

from pydantic import Field

from resources.settings.section import Section


class MetricsSettings(Section):
    """Limits of metric queries. The snapshot's memory is this twice for a moment when a new one is published."""

    query_timeout_s: float = Field(2.0, gt=0, description="A query that takes longer is ended.")
    query_memory: str = Field(
        "256MB", pattern=r"^[1-9]\d{0,5}(MB|GB)$", description="Of all queries of a process together."
    )
    workers: int = Field(2, ge=1, le=64, description="Queries that run at once, each on one core.")
    waiting: int = Field(64, ge=1, description="Queries that may wait for their turn; beyond, the answer is 503.")
    waiting_per_caller: int = Field(16, ge=1, description="Of one caller, waiting or running; beyond, 429.")
    cache_mb: int = Field(32, ge=0, description="Answers kept for the snapshot that serves.")
