"""ANALYTICS_GATEWAY__…: nginx before the Dagster UI."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from resources.settings.section import CommaSeparated, Port, Section


class GatewaySettings(Section):
    """Where the gateway listens and what it calls itself."""

    host: str = "127.0.0.1"
    port: Port = 8080
    viewers_port: Port = Field(3003, description="Dagster's read-only webserver, on loopback.")
    server_names: CommaSeparated = Field(
        ("localhost", "127.0.0.1"), description="The host names that it answers to; all others get 421."
    )
    tls_certificate: Path | None = Field(None, description="A PEM file with the whole chain; with it, TLS is on.")
    tls_key: Path | None = Field(None, description="The certificate's key as a PEM file, mode 600.")

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together; set both or neither")
        return self

    @property
    def address(self) -> str:
        """Where a browser finds it."""
        scheme = "https" if self.tls_certificate else "http"
        return f"{scheme}://{self.server_names[0]}:{self.port}"
