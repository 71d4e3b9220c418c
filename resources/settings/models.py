"""ANALYTICS_REGISTRY__… and ANALYTICS_CHURN__…: where models are registered, and what churn asks of its data."""

import datetime as dt

from pydantic import Field, SecretStr

from resources.settings.section import Section


class RegistrySettings(Section):
    """The model registry."""

    uri: SecretStr | None = Field(None, description="An MLflow tracking URI; default: SQLite in the data folder.")


class ChurnSettings(Section):
    """Choices of the churn model that belong to the data set, not to the code."""

    evaluation_cutoff: dt.date | None = Field(
        None, description="The held-out cut-off; default: the latest whose 28-day outcome is known."
    )
    expects_full_data: bool = Field(
        True, description="False while a sample is replayed: then only an empty registry promotes."
    )
