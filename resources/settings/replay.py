"""ANALYTICS_REPLAY__…: mended rejections on their way back."""

from pydantic import Field, SecretStr

from resources.settings.section import Section


class ReplaySettings(Section):
    """Where mended events are sent, and as whom."""

    url: str | None = Field(None, description="The API as the replay reaches it; default: its own host and port.")
    key: SecretStr | None = Field(
        None, description="A key that may write events; not needed where the local developer is let in."
    )
