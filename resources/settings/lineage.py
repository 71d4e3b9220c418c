"""ANALYTICS_LINEAGE__…: lineage events for other catalogues (OpenLineage)."""

import enum
from pathlib import Path

from pydantic import Field, SecretStr, model_validator

from resources.settings.section import Section


class LineageEvents(enum.StrEnum):
    """Where lineage events go."""

    OFF = "off"
    FILE = "file"
    HTTP = "http"


class LineageSettings(Section):
    """Whether runs are told to another catalogue, and to which. Nothing here can slow or fail a run."""

    events: LineageEvents = LineageEvents.OFF
    file: Path | None = Field(
        None, description="With events=file: one JSON event a line. Default: lineage/events.jsonl in the data folder."
    )
    url: str | None = Field(None, description="With events=http: the catalogue's address, such as http://marquez:5000.")
    api_key: SecretStr | None = Field(None, description="With events=http: sent as a bearer token.")
    namespace: str = Field("analytics", min_length=1, description="The namespace of the platform's jobs.")
    timeout_s: float = Field(5.0, gt=0, le=60)

    @model_validator(mode="after")
    def _http_has_an_address(self) -> "LineageSettings":
        if self.events is LineageEvents.HTTP and self.url is None:
            raise ValueError("events=http needs url, the address of the catalogue")
        return self
