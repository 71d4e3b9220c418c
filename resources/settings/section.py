"""What every section of the settings is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Port = Annotated[int, Field(ge=1, le=65535)]


class Section(BaseModel):
    """One concern's settings. Frozen, and a name that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
