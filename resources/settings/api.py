"""ANALYTICS_API__…: the front door."""

from pydantic import Field

from resources.settings.section import Port, Section


class ApiSettings(Section):
    """The front door."""

    host: str = "127.0.0.1"
    port: Port = 8000
    max_batch_events: int = Field(1000, ge=1)
    max_body_bytes: int = Field(1_000_000, ge=1024)
    acknowledgement_timeout_s: float = Field(10.0, gt=0, description="How long a request waits for the broker.")
