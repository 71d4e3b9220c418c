"""ANALYTICS_TELEMETRY__…: where traces go."""

from pydantic import Field, SecretStr, field_validator

from resources.settings.section import Section


class TelemetrySettings(Section):
    """Traces. Without an endpoint no span is made, and nothing is paid for it."""

    otlp_endpoint: str | None = Field(
        None, description="A collector that speaks OTLP over HTTP, as http://collector:4318; default: no traces."
    )
    otlp_authorization: SecretStr | None = Field(None, description="The Authorization header that the collector wants.")
    sampled_share: float = Field(
        0.01, ge=0, le=1, description="Share of requests that are traced, of those whose sender has not decided it."
    )

    @field_validator("otlp_endpoint")
    @classmethod
    def _is_an_address(cls, endpoint: str | None) -> str | None:
        if endpoint is not None and not endpoint.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://, as http://collector:4318")
        return None if endpoint is None else endpoint.rstrip("/")
