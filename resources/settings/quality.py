"""ANALYTICS_QUALITY__…: what is remembered of validations."""

from pydantic import Field

from resources.settings.section import Section


class QualitySettings(Section):
    """How long results are kept, and how many rows that failed are shown."""

    keep_days: int = Field(
        400, ge=1, description="Days that results of validations are kept; a year shows its seasons."
    )
    sample_rows: int = Field(5, ge=0, le=100, description="Failing rows that a result shows; 0 shows none.")
