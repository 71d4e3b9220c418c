"""What a deployment chooses, as one typed tree read from `ANALYTICS_*` environment variables."""

from resources.settings.alerts import AlertsSettings
from resources.settings.api import ApiSettings, Auth
from resources.settings.dagster import DagsterSettings
from resources.settings.environment import Environment
from resources.settings.errors import SettingsError
from resources.settings.gateway import GatewaySettings
from resources.settings.identity import IdentitySettings
from resources.settings.kafka import KafkaSettings
from resources.settings.limits import LimitsSettings
from resources.settings.metrics import MetricsSettings
from resources.settings.models import ChurnSettings, RegistrySettings
from resources.settings.schemas import SchemasSettings
from resources.settings.secrets import SecretsSettings
from resources.settings.streaming import Duties, StreamingSettings
from resources.settings.telemetry import TelemetrySettings
from resources.settings.tree import Settings, load_settings
from resources.settings.warehouse import WarehouseSettings

__all__ = [
    "AlertsSettings",
    "ApiSettings",
    "Auth",
    "ChurnSettings",
    "DagsterSettings",
    "Duties",
    "Environment",
    "GatewaySettings",
    "IdentitySettings",
    "KafkaSettings",
    "LimitsSettings",
    "MetricsSettings",
    "RegistrySettings",
    "SchemasSettings",
    "SecretsSettings",
    "Settings",
    "SettingsError",
    "StreamingSettings",
    "TelemetrySettings",
    "WarehouseSettings",
    "load_settings",
]
