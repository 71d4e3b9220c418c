"""ANALYTICS_LIMITS__…: how much a caller may ask for in a minute."""

import re

from pydantic import Field, SecretStr, field_validator

from resources.settings.section import Section

MEMORY = "memory://"
_REDIS = re.compile(r"rediss?://([^@\s]*@)?(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}(/\d*)?(\?\S*)?\Z")


class LimitsSettings(Section):
    """Limits of one minute. Callers without a limit of their own are counted by their address."""

    storage_url: SecretStr = Field(
        SecretStr(MEMORY),
        description="Where requests are counted: memory:// in each process alone, redis://… in all together.",
    )
    requests_per_minute: int = Field(100, ge=1, description="Of one address.")
    key_requests_per_minute: int = Field(12_000, ge=1, description="Of a key that sends events.")
    key_events_per_minute: int = Field(
        600_000, ge=1, description="Of a key that sends events and has no limit of its own."
    )

    @field_validator("storage_url")
    @classmethod
    def _is_known(cls, url: SecretStr) -> SecretStr:
        address = url.get_secret_value()
        if address == MEMORY or _REDIS.match(address):
            return url
        raise ValueError("must be memory://, or redis:// or rediss:// with host and port, as redis://cache:6379/0")

    @property
    def is_shared(self) -> bool:
        """Whether several processes count together."""
        return self.storage_url.get_secret_value() != MEMORY
