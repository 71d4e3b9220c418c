"""ANALYTICS_S3__…: the object storage that data sets at s3:// addresses are read from."""

from pydantic import Field, SecretStr, model_validator

from resources.settings.section import Section


class ObjectStorageSettings(Section):
    """Where it is and how to get in. What is not set here is read as the AWS tools do (AWS_…, ~/.aws, the instance)."""

    endpoint_url: str | None = Field(
        None, pattern=r"^https?://[^/]+$", description="Of a storage that speaks S3; default: AWS."
    )
    region: str | None = None
    access_key_id: SecretStr | None = None
    secret_access_key: SecretStr | None = None

    @model_validator(mode="after")
    def _both_or_none(self) -> "ObjectStorageSettings":
        if (self.access_key_id is None) != (self.secret_access_key is None):
            raise ValueError("access_key_id and secret_access_key are set together or not at all")
        return self
