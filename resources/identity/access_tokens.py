"""Access tokens: JWTs of type at+jwt (RFC 9068) under the rules of RFC 8725.

One algorithm, EdDSA on Ed25519: neither `none` nor an HMAC with a public key can pass. The header may carry `alg`,
`typ` and `kid` only, and the kid is looked up among our keys: no jku, x5u or jwk is ever followed. `iss`, `aud`, `sub`,
`jti`, `sid`, `iat`, `nbf` and `exp` are required. Refresh tokens are no JWTs at all but random strings: they are looked
up in the database at each use anyway, and what has no claims cannot be taken for an access token.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass

import jwt

from resources.identity.signing_keys import SigningKeys

ACCESS_TOKEN_S = 600
LEEWAY_S = 30
MAX_TOKEN_CHARS = 4_096
ALGORITHM = "EdDSA"
TYPE = "at+jwt"
_HEADER = {"alg", "typ", "kid"}
_REQUIRED = ["iss", "aud", "sub", "jti", "sid", "iat", "nbf", "exp"]


class BadToken(Exception):
    """The token is not one of ours, or not valid now; `str()` says why, for the log."""


class ExpiredToken(BadToken):
    """It was one of ours; a new one is to be had with the refresh token."""


@dataclass(frozen=True)
class AccessClaims:
    """What a valid token says: the user, the log-in that it belongs to, and when it ends (seconds since 1970)."""

    user_id: str
    log_in_id: str
    expires_at: int


class AccessTokens:
    """Signs and verifies."""

    def __init__(self, keys: SigningKeys, *, issuer: str, audience: str, now_ms: Callable[[], int]) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audience = audience
        self._now_ms = now_ms

    def issue(self, user_id: str, log_in_id: str) -> str:
        """A token for the next ten minutes."""
        kid, key = self._keys.active()
        now = self._now_ms() // 1000
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": user_id,
            "sid": log_in_id,
            "jti": secrets.token_hex(16),
            "iat": now,
            "nbf": now,
            "exp": now + ACCESS_TOKEN_S,
        }
        return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": TYPE})

    def verify(self, token: str) -> AccessClaims:
        """The claims of a valid token.

        Raises:
            ExpiredToken: it was valid once.
            BadToken: it is not valid.
        """
        if len(token) > MAX_TOKEN_CHARS:
            raise BadToken("too long")
        try:
            header = jwt.get_unverified_header(token)
            if set(header) != _HEADER or header["alg"] != ALGORITHM or header["typ"] != TYPE:
                raise BadToken("the header has other members than alg EdDSA, typ at+jwt and kid")
            key = self._keys.public(str(header["kid"]))
            if key is None:
                raise BadToken("unknown kid")
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": _REQUIRED, "strict_aud": True},
            )
        except jwt.ExpiredSignatureError:
            raise ExpiredToken("expired") from None
        except jwt.PyJWTError as error:
            raise BadToken(f"{type(error).__name__}: {error}") from None
        if claims["exp"] - claims["iat"] > ACCESS_TOKEN_S:
            raise BadToken("valid for longer than we issue them for")
        if not isinstance(claims["sid"], str):
            raise BadToken("sid is no string")
        return AccessClaims(claims["sub"], claims["sid"], int(claims["exp"]))
