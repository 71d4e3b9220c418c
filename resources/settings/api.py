"""ANALYTICS_API__…: the front door."""

import enum
import ipaddress
import re
from typing import Annotated

from pydantic import Field, field_validator

from resources.settings.section import CommaSeparated, Port, RequiredOutsideLocal, Section

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?\Z")


class Auth(enum.StrEnum):
    """Who may come in without a credential."""

    DEVELOPMENT = "development"
    REQUIRED = "required"


class FutureEvents(enum.StrEnum):
    """What becomes of an event from further in the future than is tolerated."""

    REFUSE = "refuse"
    CLAMP = "clamp"


class UnknownEvents(enum.StrEnum):
    """What becomes of an event whose name has neither a schema nor a built-in contract."""

    ACCEPT = "accept"
    REJECT = "reject"


class ApiSettings(Section):
    """The front door."""

    host: str = "127.0.0.1"
    port: Port = 8000
    auth: Auth | None = Field(
        None,
        description="`development`: a request from this machine without a credential is the local developer; "
        "`required`: it is nobody. Default: development in local, required elsewhere.",
    )
    allowed_hosts: Annotated[CommaSeparated, RequiredOutsideLocal()] = Field(
        (), description="Names that a request's Host may carry; by default those of this machine, in local only."
    )
    max_batch_events: int = Field(1000, ge=1)
    max_body_bytes: int = Field(1_000_000, ge=1024)
    acknowledgement_timeout_s: float = Field(10.0, gt=0, description="How long a request waits for the broker.")
    future_tolerance_s: float = Field(
        3600.0, ge=0, le=86_400, description="How far in the future an event's time may lie by the server's clock."
    )
    future_events: FutureEvents = Field(
        FutureEvents.REFUSE,
        description="`refuse`: an event from further in the future is recorded as rejected, as it was sent; "
        "`clamp`: it is taken with the time of receipt.",
    )
    unknown_events: UnknownEvents = Field(
        UnknownEvents.ACCEPT,
        description="`accept`: an event whose name has no schema is generic, its payload any object; `reject`: it is "
        "recorded as rejected. The stream takes what is on the log either way.",
    )
    drain_delay_s: float = Field(
        0.0, ge=0, description="How long after SIGTERM it goes on serving, no longer ready, so that none is sent to it."
    )
    trusted_proxies: CommaSeparated = Field(
        (), description="Networks (CIDR) of the proxies whose X-Forwarded-For is believed; by default none."
    )
    cors_origins: CommaSeparated = Field(
        (), description="Origins whose pages may call the API, as https://shop.example; by default none."
    )
    hsts_max_age_s: int = Field(
        0, ge=0, description="How long browsers shall insist on TLS; set it where a proxy terminates TLS. 0 is off."
    )
    docs: bool | None = Field(
        None, description="Whether /docs, /redoc and /openapi.json are served; default: in the environment local only."
    )
    header_timeout_s: float = Field(10.0, gt=0, description="How long a client may take to send a request's head.")
    body_timeout_s: float = Field(30.0, gt=0, description="How long a client may take to send a request's body.")
    handling_timeout_s: float = Field(60.0, gt=0, description="How long a request may take until its answer begins.")

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ipaddress.ip_network(network)  # its ValueError names the fault
        return networks

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.match(origin):
                raise ValueError(f"{origin} is no origin; write scheme, host and port only, as https://shop.example")
        return origins
