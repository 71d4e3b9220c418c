"""ANALYTICS_WAREHOUSE__…: the warehouse file."""

from pathlib import Path

from pydantic import Field

from resources.settings.section import Section


class WarehouseSettings(Section):
    """The warehouse file and what its models call a day."""

    path: Path | None = Field(None, description="Default: warehouse/analytics.duckdb in the data folder.")
    business_timezone: str = "America/New_York"
    lock_timeout_s: float = Field(600.0, gt=0)
