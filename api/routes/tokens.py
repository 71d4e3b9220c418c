"""/v1/tokens: log in, stay logged in, log out."""

import datetime as dt
import json
from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from api.dependencies import ByCaller, Metadata, TheIdentity
from api.envelope import StandardResponse
from api.forms import FORM, is_form, read_form
from api.problems import ProblemError
from api.strict_json import StrictJsonRoute
from resources.identity.log_ins import TokenPair

router = APIRouter(prefix="/tokens", tags=["tokens"], route_class=StrictJsonRoute)

_JSON = "application/json"
_UNAVAILABLE: dict[int | str, dict[str, Any]] = {
    503: {"description": "The identity database cannot be reached, or too many log in at once."}
}


class LogInRequest(BaseModel):
    """A user's name and password. `grant_type` is for OAuth 2 clients, which send it."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"username": "ada", "password": "a long pass phrase"}]},
    )

    username: str = Field(min_length=1, max_length=64)
    password: SecretStr = Field(min_length=1, max_length=256)
    grant_type: Literal["password"] = "password"


class RefreshRequest(BaseModel):
    """The refresh token of the last answer."""

    model_config = ConfigDict(
        extra="forbid",
        hide_input_in_errors=True,
        json_schema_extra={"examples": [{"refresh_token": "rt_0FhQ3zT2n8kV5xYw1mBc7dLr9sPj4uGa6eNiOtKyXb0"}]},
    )

    refresh_token: SecretStr = Field(min_length=1, max_length=128)


class Tokens(BaseModel):
    """What a log-in gives. Keep the refresh token as you would a password; each works once."""

    access_token: str = Field(
        description="For `Authorization: Bearer`; a JWT, verified with /.well-known/jwks.json.",
        examples=["<header>.<claims>.<signature>"],
    )
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int = Field(description="Seconds that the access token is valid for.", examples=[600])
    refresh_token: str = Field(
        description="Buys the next pair at POST /v1/tokens/refresh.", examples=["rt_<a secret of 43 characters>"]
    )
    refresh_expires_at: dt.datetime = Field(description="When the log-in ends, refreshed or not.")


_CREDENTIALS: dict[str, Any] = {
    "required": True,
    "content": {
        _JSON: {"schema": LogInRequest.model_json_schema()},
        FORM: {"schema": LogInRequest.model_json_schema()},
    },
}


@router.post(
    "",
    summary="Log in",
    response_description="A pair of tokens.",
    responses={
        401: {"description": "The user name or the password is wrong; which of them is not said."},
        415: {"description": f"Neither {_JSON} nor {FORM}."},
        422: {"description": "A field is missing, too long or unknown."},
        429: {"description": "Too many attempts with this account or from this address; see Retry-After."},
        **_UNAVAILABLE,
    },
    openapi_extra={"requestBody": _CREDENTIALS},
)
async def post_token(
    request: Request, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[Tokens]:
    """A name and a password for an access token of ten minutes and a refresh token."""
    asked = await _log_in_request(request)
    pair = await identity.log_ins.begin(asked.username, asked.password.get_secret_value(), by)
    return StandardResponse(success=True, data=_shown(pair), message="Logged in", metadata=metadata)


@router.post(
    "/refresh",
    summary="Stay logged in",
    response_description="The next pair of tokens.",
    responses={
        401: {"description": "Not valid any more. One that was used before ends the whole log-in."},
        422: {"description": "A field is missing, too long or unknown."},
        **_UNAVAILABLE,
    },
)
async def post_refresh(
    asked: RefreshRequest, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[Tokens]:
    """Trade the refresh token for a new pair; the old one is used up."""
    pair = await identity.log_ins.refresh(asked.refresh_token.get_secret_value(), by)
    return StandardResponse(success=True, data=_shown(pair), message="Refreshed", metadata=metadata)


@router.post(
    "/revoke",
    summary="Log out",
    response_description="The log-in is over, or was never there.",
    responses={422: {"description": "A field is missing, too long or unknown."}, **_UNAVAILABLE},
)
async def post_revoke(
    asked: RefreshRequest, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[None]:
    """End the log-in that a refresh token belongs to, its access tokens included, within five seconds everywhere."""
    await identity.log_ins.end(asked.refresh_token.get_secret_value(), by)
    return StandardResponse(success=True, message="Logged out", metadata=metadata)


async def _log_in_request(request: Request) -> LogInRequest:
    content_type = request.headers.get("content-type", "")
    try:
        if is_form(content_type):
            return LogInRequest.model_validate(_fields(await request.body()))
        if content_type.partition(";")[0].strip().lower() == _JSON:
            return LogInRequest.model_validate(await request.json())
    except ValidationError as error:
        raise RequestValidationError(error.errors(include_input=False, include_url=False)) from None
    except json.JSONDecodeError as error:
        fault = {"type": "json_invalid", "loc": ("body", error.pos), "msg": "JSON decode error"}
        raise RequestValidationError([fault]) from None
    raise ProblemError(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "unsupported-media-type",
        f"Log in with Content-Type {_JSON} or {FORM}.",
        headers={"Accept-Post": f"{_JSON}, {FORM}"},
    )


def _fields(body: bytes) -> dict[str, str]:
    try:
        return read_form(body)
    except ValueError:
        return {}  # the answer names what is missing


def _shown(pair: TokenPair) -> Tokens:
    return Tokens(
        access_token=pair.access_token,
        expires_in=pair.expires_in,
        refresh_token=pair.refresh_token,
        refresh_expires_at=dt.datetime.fromtimestamp(pair.refresh_expires_ms / 1000, dt.UTC),
    )
