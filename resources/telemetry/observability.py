"""One call that makes a process observable: its logs, and its traces where the settings name a collector."""

import logging
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from resources.settings import Environment, TelemetrySettings, load_settings
from resources.settings.variables import secrets_of
from resources.telemetry.logs import configure_logging
from resources.telemetry.tracing import start_tracing

logger = logging.getLogger(__name__)


@dataclass
class ObservabilityConfig:
    """What to say about the process. A service sets its name and passes it to `configure_observability`."""

    service_name: str
    environment: Environment
    log_level: int = logging.INFO
    secrets: tuple[SecretStr, ...] = ()
    """Masked in every log line."""
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)


def get_observability_config() -> ObservabilityConfig:
    """The configuration that the settings ask for.

    Raises:
        SettingsError: an `ANALYTICS_*` variable has a bad value.
    """
    settings = load_settings()
    return ObservabilityConfig(
        service_name="analytics",
        environment=settings.environment,
        secrets=tuple(secrets_of(settings)),
        telemetry=settings.telemetry,
    )


def configure_observability(config: ObservabilityConfig, app: Any | None = None) -> None:
    """Configure logs and traces of `config.service_name`; an application carries the configuration on its `state`."""
    secrets = [secret.get_secret_value() for secret in config.secrets]
    configure_logging(config.service_name, level=config.log_level, secrets=secrets)
    start_tracing(config.service_name, config.telemetry)
    if app is not None:
        app.state.observability = config
    logger.info("Service starts", extra={"environment": config.environment.value})
