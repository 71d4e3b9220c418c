"""Ids that sort by the time they were made, and secrets that nobody guesses."""

import hashlib
import secrets

SECRET_BYTES = 32
API_KEY_PREFIX = "ak_"
WRITE_KEY_PREFIX = "wk_"
REFRESH_PREFIX = "rt_"


def new_id(kind: str, now_ms: int) -> str:
    """`<kind>_` with 12 hexadecimal digits of time and 16 random ones, so that a page of a list ends at an id."""
    return f"{kind}_{now_ms:012x}{secrets.token_hex(8)}"


def new_secret(prefix: str) -> str:
    """A prefix that tells what it opens, to people and to scanners, and 256 random bits."""
    return prefix + secrets.token_urlsafe(SECRET_BYTES)


def secret_hash(secret: str) -> bytes:
    """What is stored of a secret. The look-up goes by this hash, so its timing tells nothing of the secret."""
    return hashlib.sha256(secret.encode()).digest()
