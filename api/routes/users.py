"""/v1/users: who is asking, and for administrators all users."""

import datetime as dt
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, SecretStr, StrictBool

from api.dependencies import ByCaller, Caller, Metadata, TheIdentity
from api.envelope import StandardResponse
from api.pages import Cursor, Limit, Page, next_cursor
from api.strict_json import StrictJsonRoute
from platform_assets.contracts.access import PrincipalKind, Role, Scope
from resources.identity.errors import Forbidden
from resources.identity.users import UserKind, UserRecord

router = APIRouter(prefix="/users", tags=["users"], route_class=StrictJsonRoute)

_EXAMPLE_ID = "usr_01a214f3d2b761d2b74b3694f112"
UserId = Annotated[str, Path(pattern=r"^usr_[0-9a-f]{28}$", description="The user's id.", examples=[_EXAMPLE_ID])]

Responses = dict[int | str, dict[str, Any]]

_FORBIDDEN: Responses = {403: {"description": "The caller does not have the scope users:manage."}}
_INVALID: Responses = {422: {"description": "A value is missing, unknown or will not do."}}
_NOT_FOUND: Responses = {404: {"description": "There is no such user."}}
_UNAVAILABLE: Responses = {
    503: {"description": "The identity database cannot be reached, or too many passwords are checked."}
}


class _Body(BaseModel):
    # A field that a caller may not set is not ignored but refused.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class UserView(BaseModel):
    """What is told of a user."""

    id: str = Field(examples=[_EXAMPLE_ID])
    name: str = Field(examples=["ada"])
    kind: UserKind
    role: Role
    is_active: bool
    created_at: dt.datetime


class CallerView(BaseModel):
    """Who the credential of this request belongs to."""

    kind: PrincipalKind
    name: str = Field(examples=["ada"])
    id: str = Field(examples=[_EXAMPLE_ID])
    owner_id: str = Field(description="The user; of a key, its owner.", examples=[_EXAMPLE_ID])
    role: Role | None = None
    scopes: list[Scope]


class NewUser(_Body):
    """An account to make. A service account has no password; it works with keys."""

    name: str = Field(min_length=2, max_length=64, examples=["ada"])
    role: Role
    kind: UserKind = UserKind.USER
    password: SecretStr | None = Field(None, min_length=12, max_length=256, examples=["a long pass phrase"])


class UserChange(_Body):
    """What is to become another."""

    role: Role | None = None
    is_active: StrictBool | None = None
    password: SecretStr | None = Field(None, min_length=12, max_length=256, examples=["a long pass phrase"])


class OwnPassword(_Body):
    """The one that is, and the one that shall be."""

    current_password: SecretStr = Field(min_length=1, max_length=256, examples=["a long pass phrase"])
    new_password: SecretStr = Field(min_length=12, max_length=256, examples=["a longer pass phrase"])


@router.get(
    "/me",
    summary="Who am I?",
    response_description="The caller.",
    responses={403: {"description": "A write key is not told."}},
)
async def get_me(caller: Caller, metadata: Metadata) -> StandardResponse[CallerView]:
    """The caller as this API knows it."""
    view = CallerView(
        kind=caller.kind, name=caller.name, id=caller.id, owner_id=caller.owner_id, role=caller.role,
        scopes=sorted(caller.scopes),
    )  # fmt: skip
    return StandardResponse(success=True, data=view, message="This is you", metadata=metadata)


@router.patch(
    "/me",
    summary="Change your own password",
    response_description="The new password is in force; log in with it.",
    responses={
        401: {"description": "The current password is another."},
        403: {"description": "Only a user who logged in has a password."},
        429: {"description": "Too many attempts; see Retry-After."},
        **_INVALID,
        **_UNAVAILABLE,
    },
)
async def patch_me(
    asked: OwnPassword, caller: Caller, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[None]:
    """Ends every log-in of the user, this one included."""
    if caller.kind is not PrincipalKind.USER:
        raise Forbidden("Only a user who logged in with a password can change it.")
    await identity.users.change_own_password(
        caller.id, asked.current_password.get_secret_value(), asked.new_password.get_secret_value(), by
    )
    return StandardResponse(success=True, message="Password changed; log in with it", metadata=metadata)


@router.get(
    "",
    summary="List users",
    response_description="A page of users.",
    responses={**_FORBIDDEN, **_INVALID, **_UNAVAILABLE},
)
async def get_users(
    identity: TheIdentity, metadata: Metadata, cursor: Cursor = None, limit: Limit = 50
) -> StandardResponse[Page[UserView]]:
    """Every account, closed ones too, in the order in which they were made."""
    found = await identity.users.page(cursor, limit + 1)
    page = Page[UserView](
        items=[_shown(user) for user in found[:limit]], next_cursor=next_cursor([user.id for user in found], limit)
    )
    return StandardResponse(success=True, data=page, message=f"{len(page.items)} users", metadata=metadata)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Add a user or a service account",
    response_description="The new account.",
    responses={409: {"description": "The name is taken."}, **_FORBIDDEN, **_INVALID, **_UNAVAILABLE},
)
async def post_user(
    asked: NewUser, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[UserView]:
    """Its password is known to whoever sets it here; have the user change it."""
    user = await identity.users.create(asked.name, asked.role, asked.kind, _secret(asked.password), by)
    return StandardResponse(success=True, data=_shown(user), message="User added", metadata=metadata)


@router.get(
    "/{user_id}",
    summary="One user",
    response_description="The user.",
    responses={**_FORBIDDEN, **_NOT_FOUND, **_INVALID, **_UNAVAILABLE},
)
async def get_user(user_id: UserId, identity: TheIdentity, metadata: Metadata) -> StandardResponse[UserView]:
    """An account, also a closed one."""
    user = await identity.users.get(user_id)
    return StandardResponse(success=True, data=_shown(user), message="User found", metadata=metadata)


@router.patch(
    "/{user_id}",
    summary="Change a user",
    response_description="The user as it is now.",
    responses={
        409: {"description": "It is the last administrator."}, **_FORBIDDEN, **_NOT_FOUND, **_INVALID, **_UNAVAILABLE,
    },
)  # fmt: skip
async def patch_user(
    user_id: UserId, asked: UserChange, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[UserView]:
    """Another role holds within five seconds; a closed account or another password ends its log-ins in that time."""
    user = await identity.users.change(
        user_id, by, role=asked.role, is_active=asked.is_active, password=_secret(asked.password)
    )
    return StandardResponse(success=True, data=_shown(user), message="User changed", metadata=metadata)


@router.delete(
    "/{user_id}",
    summary="Close an account",
    response_description="The closed account.",
    responses={
        409: {"description": "It is the last administrator."}, **_FORBIDDEN, **_NOT_FOUND, **_INVALID, **_UNAVAILABLE,
    },
)  # fmt: skip
async def delete_user(
    user_id: UserId, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[UserView]:
    """Its log-ins and keys end. The account stays, because the audit log names it; PATCH opens it again."""
    user = await identity.users.change(user_id, by, is_active=False)
    return StandardResponse(success=True, data=_shown(user), message="Account closed", metadata=metadata)


def _shown(user: UserRecord) -> UserView:
    return UserView(
        id=user.id, name=user.name, kind=user.kind, role=user.role, is_active=user.is_active,
        created_at=dt.datetime.fromtimestamp(user.created_ms / 1000, dt.UTC),
    )  # fmt: skip


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None
