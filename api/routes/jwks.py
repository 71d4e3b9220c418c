"""GET /.well-known/jwks.json: what others verify our access tokens with."""

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import BaseModel, Field

from api.dependencies import TheIdentity

# An old key verifies for as long as its tokens live, so a minute's copy is never too old to verify.
_CACHE = "public, max-age=60"

router = APIRouter(prefix="/.well-known", tags=["tokens"])


class PublicKey(BaseModel):
    """One Ed25519 key as a JWK (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    alg: Literal["EdDSA"]
    use: Literal["sig"]
    kid: str = Field(description="The `kid` of the tokens that it verifies.", examples=["20260115t093000000000-a1b2c3"])
    x: str = Field(description="The key, base64url.", examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])


class KeySet(BaseModel):
    """A JWK Set (RFC 7517): the key that signs now, and those whose last tokens are still valid."""

    keys: list[PublicKey]


@router.get("/jwks.json", summary="The keys that verify access tokens", response_description="A JWK Set.")
async def get_jwks(response: Response, identity: TheIdentity) -> KeySet:
    """As it stands in RFC 7517, not in an envelope, so that libraries read it."""
    response.headers["Cache-Control"] = _CACHE
    return KeySet.model_validate(identity.signing_keys.jwks())
