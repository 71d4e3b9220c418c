"""What every section of the settings is made of."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_settings import NoDecode

Port = Annotated[int, Field(ge=1, le=65535)]


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


# NoDecode: pydantic-settings would otherwise want JSON.
CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""A list in one variable: `ANALYTICS_API__TRUSTED_PROXIES=10.0.0.0/8,192.168.1.7`."""


@dataclass(frozen=True)
class RequiredOutsideLocal:
    """In a setting's `Annotated`: its default is a convenience of a laptop, so a deployment has to choose."""


class Section(BaseModel):
    """One concern's settings. Frozen, and a name that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
