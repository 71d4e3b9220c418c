"""ANALYTICS_DAGSTER__…: the orchestrator's processes and its database."""

from pydantic import Field, SecretStr

from resources.settings.section import Port, Section


class DagsterSettings(Section):
    """The webserver and the code server behind it, both on loopback."""

    host: str = "127.0.0.1"
    port: Port = 3001
    code_server_port: Port = 3002
    postgres_url: SecretStr | None = Field(
        None, description="postgresql://…: where Dagster keeps runs and events; default: SQLite in the data folder."
    )
    platform_checks_cron: str = Field(
        # Not on the hour, when everything else starts.
        "17 * * * *",
        description="When the parts that Dagster does not run are asked whether they are well.",
    )
