"""The body of every success under /v1. An error is never one of these: see `api.problems`."""

import datetime as dt
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

API_VERSION = "v1"

T = TypeVar("T")


class APIMetadata(BaseModel):
    """About the answer rather than in it."""

    request_id: str = Field(
        description="Names this request in the logs; also in the X-Request-ID header.",
        examples=["5f0c1c9de2b34a6a9d0f6a1f5c7b8e21"],
    )
    version: str = API_VERSION
    environment: str = Field(examples=["local"])
    timestamp: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.UTC), description="Server time, UTC.")


class StandardResponse(BaseModel, Generic[T]):
    """A success and its data."""

    success: bool
    data: T | None = None
    message: str = Field(examples=["Done"])
    metadata: APIMetadata
