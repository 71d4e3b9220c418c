"""The body of every success under /v1. An error is never one of these: see `api.problems`."""

import datetime as dt
from typing import Generic, TypeVar

from pydantic import BaseModel, Field

API_VERSION = "v1"

T = TypeVar("T")


class APIMetadata(BaseModel):
    """About the answer rather than in it."""

    request_id: str = Field(description="Names this request in the logs; also in the X-Request-ID header.")
    version: str = API_VERSION
    environment: str
    timestamp: dt.datetime = Field(default_factory=lambda: dt.datetime.now(dt.UTC), description="Server time, UTC.")


class StandardResponse(BaseModel, Generic[T]):
    """A success and its data."""

    success: bool
    data: T | None = None
    message: str
    metadata: APIMetadata
