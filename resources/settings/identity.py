"""ANALYTICS_IDENTITY__…: who may come in."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr

from resources.settings.section import RequiredOutsideLocal, Section


class IdentitySettings(Section):
    """Users, keys and tokens."""

    database_url: Annotated[SecretStr | None, RequiredOutsideLocal()] = Field(
        None, description="postgresql://… or sqlite:///…; default: a SQLite file in the data folder, in local only."
    )
    signing_keys_dir: Annotated[Path | None, RequiredOutsideLocal()] = Field(
        None, description="Folder of Ed25519 keys that sign access tokens; default: in the data folder, in local only."
    )
    issuer: str | None = Field(None, description="The `iss` of access tokens; default: urn:analytics:<environment>.")
    audience: str = Field("analytics-api", description="The `aud` of access tokens.")
