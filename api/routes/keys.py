"""/v1/keys: one's own keys; for those who manage keys, all."""

import datetime as dt
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from api.dependencies import ByCaller, Caller, Metadata, TheIdentity
from api.envelope import StandardResponse
from api.pages import Cursor, Limit, Page, next_cursor
from api.strict_json import StrictJsonRoute
from platform_assets.contracts.access import Principal, PrincipalKind, Scope
from resources.identity.errors import Forbidden
from resources.identity.keys import KeyKind, KeyRecord
from resources.identity.keys import NewKey as KeyToMake

router = APIRouter(prefix="/keys", tags=["keys"], route_class=StrictJsonRoute)

_EXAMPLE_ID = "key_01a214f3d2e0ee19aca7140d57d9"
_OWNER_ID = "usr_01a214f3d2b761d2b74b3694f112"
KeyId = Annotated[str, Path(pattern=r"^key_[0-9a-f]{28}$", description="The key's id.", examples=[_EXAMPLE_ID])]

Responses = dict[int | str, dict[str, Any]]

_FORBIDDEN: Responses = {
    403: {"description": "The caller has not the scope for it, or asks for what it has not itself."}
}
_NOT_FOUND: Responses = {404: {"description": "There is no such key, or it is another owner's."}}
_INVALID: Responses = {422: {"description": "A value is missing, unknown or will not do."}}
_UNAVAILABLE: Responses = {503: {"description": "The identity database cannot be reached."}}


class KeyView(BaseModel):
    """What is told of a key."""

    id: str = Field(examples=[_EXAMPLE_ID])
    owner_id: str = Field(examples=[_OWNER_ID])
    kind: KeyKind
    name: str = Field(examples=["web shop"])
    scopes: list[Scope] = Field(description="It may do these as far as its owner's role may.")
    events_per_minute: int | None = Field(None, description="Its own limit; null is the default.", examples=[60000])
    created_at: dt.datetime
    expires_at: dt.datetime | None = None
    revoked_at: dt.datetime | None = None


class NewKeyView(KeyView):
    """A key that was just made."""

    secret: str = Field(
        description="Shown this once; it cannot be had again.",
        examples=["wk_0FhQ3zT2n8kV5xYw1mBc7dLr9sPj4uGa6eNiOtKyXb0"],
    )


class NewKey(BaseModel):
    """A key to make."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "web shop", "kind": "write"}]})

    name: str = Field(min_length=1, max_length=64, description="What it is for.", examples=["web shop"])
    kind: KeyKind = Field(KeyKind.API, description="`write` only sends events; `api` does what its scopes say.")
    scopes: list[Scope] | None = Field(
        None,
        min_length=1,
        max_length=len(Scope),
        description="Default: all that its kind, its owner and its maker have.",
    )
    expires_at: AwareDatetime | None = Field(None, examples=["2027-01-15T09:30:00Z"])
    owner_id: str | None = Field(
        None, pattern=r"^usr_[0-9a-f]{28}$", description="Whose it is; others' need keys:manage. Default: one's own."
    )
    events_per_minute: int | None = Field(
        None, ge=1, le=100_000_000, description="A limit of its own; needs keys:manage."
    )


@router.get(
    "",
    summary="List keys",
    response_description="A page of keys.",
    responses={**_FORBIDDEN, **_INVALID, **_UNAVAILABLE},
)
async def get_keys(
    caller: Caller, identity: TheIdentity, metadata: Metadata, cursor: Cursor = None, limit: Limit = 50
) -> StandardResponse[Page[KeyView]]:
    """One's own, with keys:manage everybody's; revoked ones too, in the order in which they were made."""
    found = await identity.keys.page(cursor, limit + 1, owner_id=_visible_owner(caller))
    page = Page[KeyView](
        items=[_shown(key) for key in found[:limit]], next_cursor=next_cursor([k.id for k in found], limit)
    )
    return StandardResponse(success=True, data=page, message=f"{len(page.items)} keys", metadata=metadata)


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Make a key",
    response_description="The key with its secret, which is not shown again.",
    responses={
        404: {"description": "There is no such owner."},
        409: {"description": "The owner is closed, or has too many keys."},
        **_FORBIDDEN,
        **_INVALID,
        **_UNAVAILABLE,
    },
)
async def post_key(
    asked: NewKey, caller: Caller, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[NewKeyView]:
    """It never holds more than its maker and its owner do. A key makes no keys, unless it holds keys:manage."""
    _refuse_makers(asked, caller)
    wanted = KeyToMake(
        kind=asked.kind,
        name=asked.name,
        scopes=frozenset(asked.scopes) if asked.scopes is not None else None,
        events_per_minute=asked.events_per_minute,
        expires_ms=int(asked.expires_at.timestamp() * 1000) if asked.expires_at is not None else None,
    )
    key, secret = await identity.keys.create(asked.owner_id or caller.owner_id, wanted, by, within=caller.scopes)
    view = NewKeyView(**_shown(key).model_dump(), secret=secret)
    return StandardResponse(success=True, data=view, message="Key made; keep its secret", metadata=metadata)


@router.get(
    "/{key_id}",
    summary="One key",
    response_description="The key, without its secret.",
    responses={**_FORBIDDEN, **_NOT_FOUND, **_INVALID, **_UNAVAILABLE},
)
async def get_key(
    key_id: KeyId, caller: Caller, identity: TheIdentity, metadata: Metadata
) -> StandardResponse[KeyView]:
    """Never its secret."""
    key = await identity.keys.get(key_id, owner_id=_visible_owner(caller))
    return StandardResponse(success=True, data=_shown(key), message="Key found", metadata=metadata)


@router.delete(
    "/{key_id}",
    summary="Revoke a key",
    response_description="The revoked key.",
    responses={**_FORBIDDEN, **_NOT_FOUND, **_INVALID, **_UNAVAILABLE},
)
async def delete_key(
    key_id: KeyId, caller: Caller, identity: TheIdentity, by: ByCaller, metadata: Metadata
) -> StandardResponse[KeyView]:
    """For good, and within five seconds everywhere; once more changes nothing."""
    key = await identity.keys.revoke(key_id, by, owner_id=_visible_owner(caller))
    return StandardResponse(success=True, data=_shown(key), message="Key revoked", metadata=metadata)


def _visible_owner(caller: Principal) -> str | None:
    return None if caller.may(Scope.KEYS_MANAGE) else caller.owner_id


def _refuse_makers(asked: NewKey, caller: Principal) -> None:
    if caller.may(Scope.KEYS_MANAGE):
        return
    if caller.kind is PrincipalKind.DEVELOPER:
        raise Forbidden("local-developer is no account and owns no keys; log in, or run `analytics keys create`.")
    if caller.kind is PrincipalKind.KEY:
        raise Forbidden("A key makes no keys; log in.")
    if asked.owner_id not in {None, caller.owner_id}:
        raise Forbidden("A key for another owner needs the scope keys:manage.")
    if asked.events_per_minute is not None:
        raise Forbidden("A limit of its own needs the scope keys:manage.")


def _shown(key: KeyRecord) -> KeyView:
    return KeyView(
        id=key.id,
        owner_id=key.owner_id,
        kind=key.kind,
        name=key.name,
        scopes=sorted(key.scopes),
        events_per_minute=key.events_per_minute,
        created_at=_time(key.created_ms),
        expires_at=_time(key.expires_ms) if key.expires_ms is not None else None,
        revoked_at=_time(key.revoked_ms) if key.revoked_ms is not None else None,
    )


def _time(milliseconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC)
