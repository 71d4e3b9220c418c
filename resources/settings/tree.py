"""The settings tree. `ANALYTICS_KAFKA__BOOTSTRAP_SERVERS` sets `settings.kafka.bootstrap_servers`, and so on."""

import datetime as dt
import enum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=1, le=65535)]


class SettingsError(ValueError):
    """A setting has a bad value; the message names the variable and what is wrong with it."""


class Environment(enum.StrEnum):
    """Where the platform runs. Everything but `local` refuses the conveniences of a laptop."""

    LOCAL = "local"
    STAGING = "staging"
    PROD = "prod"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Section):
    """The event log."""

    bootstrap_servers: str | None = Field(None, description="Any Kafka; unset starts the embedded broker.")
    embedded_port: Port = Field(9092, description="Where the embedded broker listens, on loopback.")
    embedded_memory_limit_mb: int = Field(
        2048, ge=64, description="The embedded broker frees nothing; past this it is recycled once all has landed."
    )

    @property
    def address(self) -> str:
        """The bootstrap servers in force."""
        return self.bootstrap_servers or f"127.0.0.1:{self.embedded_port}"


class ApiSettings(_Section):
    """The front door."""

    host: str = "127.0.0.1"
    port: Port = 8000
    max_batch_events: int = Field(1000, ge=1)
    max_body_bytes: int = Field(1_000_000, ge=1024)
    acknowledgement_timeout_s: float = Field(10.0, gt=0, description="How long a request waits for the broker.")


class DagsterSettings(_Section):
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


class Duties(enum.StrEnum):
    """What the stream worker does."""

    ALL = "all"
    WINDOWS = "windows"


class StreamingSettings(_Section):
    """The worker and its landing sink."""

    web_port: Port = Field(6066, description="Faust's web view.")
    max_file_rows: int = Field(200_000, ge=1)
    max_file_age_s: float = Field(2.0, gt=0, description="The longest a record waits before its file is closed.")
    max_buffer_mb: int = Field(32, ge=1, description="Rows in memory, those on their way to a file included.")
    session_timeout_s: float = Field(6.0, gt=0, description="How soon a killed worker's partitions are free again.")
    duties: Duties = Field(Duties.ALL, description="`windows` neither lands nor deduplicates: for measurements.")
    emit_interval_s: float = Field(0.012, gt=0, description="The least time between two changes of one window.")
    checkpoint_interval_s: float = Field(2.0, gt=0, description="How much of the log a crash makes the worker repeat.")
    idle_timeout_s: float = Field(
        5.0, gt=0, description="Silence after which a partition's windows close by the clock."
    )
    scorer_web_port: Port = Field(6067, description="The scorer's web view.")
    score_interval_s: float = Field(1.0, ge=0, description="An entity is scored in the stream at most this often.")


class WarehouseSettings(_Section):
    """The warehouse file and what its models call a day."""

    path: Path | None = Field(None, description="Default: warehouse/analytics.duckdb in the data folder.")
    business_timezone: str = "America/New_York"
    lock_timeout_s: float = Field(600.0, gt=0)


class RegistrySettings(_Section):
    """The model registry."""

    uri: str | None = Field(None, description="An MLflow tracking URI; default: SQLite in the data folder.")


class ChurnSettings(_Section):
    """Choices of the churn model that belong to the data set, not to the code."""

    evaluation_cutoff: dt.date | None = Field(
        None, description="The held-out cut-off; default: the latest whose 28-day outcome is known."
    )
    expects_full_data: bool = Field(
        True, description="False while a sample is replayed: then only an empty registry promotes."
    )


class Settings(BaseSettings):
    """Everything a deployment chooses. Frozen: read once, passed on."""

    model_config = SettingsConfigDict(
        env_prefix="ANALYTICS_",
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    environment: Environment = Environment.LOCAL
    data_dir: Path = Path(".analytics")
    kafka: KafkaSettings = KafkaSettings()
    api: ApiSettings = ApiSettings()
    dagster: DagsterSettings = DagsterSettings()
    streaming: StreamingSettings = StreamingSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    registry: RegistrySettings = RegistrySettings()
    churn: ChurnSettings = ChurnSettings()

    @property
    def root(self) -> Path:
        """The data folder as an absolute path."""
        return self.data_dir.expanduser().resolve()

    @property
    def landing_dir(self) -> Path:
        """Root of the landing zone."""
        return self.root / "landing"

    @property
    def warehouse_path(self) -> Path:
        """The one DuckDB file that runs write."""
        return (self.warehouse.path or self.root / "warehouse" / "analytics.duckdb").resolve()

    @property
    def snapshots_dir(self) -> Path:
        """Published, immutable copies of the serving marts."""
        return self.root / "serving" / "snapshots"

    @property
    def models_dir(self) -> Path:
        """Exported champions, one folder per model."""
        return self.root / "serving" / "models"

    @property
    def online_store_path(self) -> Path:
        """The local online store's batch features."""
        return self.root / "serving" / "online.sqlite"

    @property
    def live_store_path(self) -> Path:
        """The local online store's live features."""
        return self.root / "serving" / "live.sqlite"

    @property
    def prediction_store_path(self) -> Path:
        """The local online store's in-stream predictions."""
        return self.root / "serving" / "predictions.sqlite"

    @property
    def registry_uri(self) -> str:
        """The MLflow tracking URI in force."""
        return self.registry.uri or f"sqlite:///{self.root / 'mlflow' / 'mlflow.db'}"

    @property
    def state_dir(self) -> Path:
        """What the local supervisor and the door remember between starts."""
        return self.root / "state"

    @property
    def acknowledged_dir(self) -> Path:
        """What the broker has acknowledged, per log; see `resources.event_log.acknowledged`."""
        return self.state_dir / "acknowledged"

    @property
    def logs_dir(self) -> Path:
        """One log file per supervised process."""
        return self.root / "logs"

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance folder."""
        return self.root / "dagster"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: naming each variable with a bad value.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [
            f"ANALYTICS_{'__'.join(str(part) for part in item['loc']).upper()}: {item['msg']}"
            for item in error.errors()
        ]
        raise SettingsError("; ".join(lines)) from None
