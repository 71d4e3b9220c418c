"""The settings tree. `ANALYTICS_KAFKA__BOOTSTRAP_SERVERS` sets `settings.kafka.bootstrap_servers`, and so on.

Each section is a module of this package; a new one is a field of `Settings`.
"""

from pathlib import Path

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from resources.settings.alerts import AlertsSettings
from resources.settings.api import ApiSettings, Auth
from resources.settings.dagster import DagsterSettings
from resources.settings.environment import Environment
from resources.settings.errors import SettingsError
from resources.settings.gateway import GatewaySettings
from resources.settings.identity import IdentitySettings
from resources.settings.kafka import KafkaSettings
from resources.settings.limits import LimitsSettings
from resources.settings.lineage import LineageSettings
from resources.settings.metrics import MetricsSettings
from resources.settings.models import ChurnSettings, RegistrySettings
from resources.settings.object_storage import ObjectStorageSettings
from resources.settings.quality import QualitySettings
from resources.settings.replay import ReplaySettings
from resources.settings.schemas import SchemasSettings
from resources.settings.secrets import SecretsSettings
from resources.settings.sources import GatheredSource
from resources.settings.streaming import StreamingSettings
from resources.settings.telemetry import TelemetrySettings
from resources.settings.variables import PREFIX, variable_name
from resources.settings.warehouse import WarehouseSettings


class Settings(BaseSettings):
    """Everything a deployment chooses. Frozen: read once, passed on."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        nested_model_default_partial_update=True,
    )

    environment: Environment = Environment.LOCAL
    data_dir: Path = Path(".analytics")
    kafka: KafkaSettings = KafkaSettings()
    api: ApiSettings = ApiSettings()
    identity: IdentitySettings = IdentitySettings()
    dagster: DagsterSettings = DagsterSettings()
    streaming: StreamingSettings = StreamingSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    registry: RegistrySettings = RegistrySettings()
    churn: ChurnSettings = ChurnSettings()
    limits: LimitsSettings = LimitsSettings()
    telemetry: TelemetrySettings = TelemetrySettings()
    secrets: SecretsSettings = SecretsSettings()
    quality: QualitySettings = QualitySettings()
    s3: ObjectStorageSettings = ObjectStorageSettings()
    replay: ReplaySettings = ReplaySettings()
    schemas: SchemasSettings = SchemasSettings()
    gateway: GatewaySettings = GatewaySettings()
    metrics: MetricsSettings = MetricsSettings()
    lineage: LineageSettings = LineageSettings()
    alerts: AlertsSettings = AlertsSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the code passes, then what `sources` gathers."""
        return init_settings, GatheredSource(settings_cls)

    @property
    def root(self) -> Path:
        """The data folder as an absolute path."""
        return self.data_dir.expanduser().resolve()

    @property
    def auth(self) -> Auth:
        """Who may come in without a credential, as in force."""
        return self.api.auth or (Auth.DEVELOPMENT if self.environment is Environment.LOCAL else Auth.REQUIRED)

    @property
    def identity_dir(self) -> Path:
        """The local identity database, its signing keys and the first credentials; for the owner's eyes only."""
        return self.root / "identity"

    @property
    def identity_url(self) -> str:
        """The identity database in force."""
        url = self.identity.database_url
        return url.get_secret_value() if url is not None else f"sqlite:///{self.identity_dir / 'identity.sqlite'}"

    @property
    def signing_keys_dir(self) -> Path:
        """The keys that sign access tokens, as in force."""
        return self.identity.signing_keys_dir or self.identity_dir / "signing-keys"

    @property
    def landing_dir(self) -> Path:
        """Root of the landing zone."""
        return self.root / "landing"

    @property
    def warehouse_path(self) -> Path:
        """The one DuckDB file that runs write."""
        return (self.warehouse.path or self.root / "warehouse" / "analytics.duckdb").resolve()

    @property
    def quality_history_path(self) -> Path:
        """What came of validations; see `resources.quality.history`."""
        return self.root / "quality" / "history.sqlite"

    @property
    def schemas_dir(self) -> Path:
        """The registered event schemas; see `resources.event_schemas.folder`."""
        return (self.schemas.dir or self.root / "schemas").resolve()

    @property
    def snapshots_dir(self) -> Path:
        """Published, immutable copies of the serving marts."""
        return self.root / "serving" / "snapshots"

    @property
    def lineage_dir(self) -> Path:
        """Published lineage; see `resources.lineage.store`."""
        return self.root / "serving" / "lineage"

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
        uri = self.registry.uri
        return uri.get_secret_value() if uri is not None else f"sqlite:///{self.root / 'mlflow' / 'mlflow.db'}"

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
    """Read the settings from wherever `sources` finds them.

    Raises:
        SettingsError: naming each variable with a bad value.
    """
    try:
        return Settings()
    except ValidationError as error:
        lines = [f"{variable_name(item['loc'])}: {item['msg']}" for item in error.errors(include_input=False)]
        raise SettingsError("; ".join(lines)) from None
