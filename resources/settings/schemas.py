"""ANALYTICS_SCHEMAS__…: the registered event schemas."""

from pathlib import Path

from pydantic import Field

from resources.settings.section import Section


class SchemasSettings(Section):
    """Where they are, and how soon a new one counts."""

    dir: Path | None = Field(
        None, description="Default: schemas in the data folder. API and stream read the same; it may be read-only."
    )
    in_force_after_s: float = Field(
        2.0,
        ge=0,
        description="From registration until events are judged by it: how long every process has to load it.",
    )
