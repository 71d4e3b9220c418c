"""What the server refuses to start with: each fault by the setting's name, with what to do about it."""

import asyncio
from collections.abc import Iterator

from api.security.identity import is_loopback
from resources.identity.access_tokens import ACCESS_TOKEN_S
from resources.identity.database import IdentityDatabase, IdentityUnavailable, asynchronous
from resources.identity.schema import prepare
from resources.identity.signing_keys import SigningKeys, SigningKeysUnusable
from resources.settings import Auth, Environment, Settings
from resources.settings.strength import weak_secrets

_DATABASE = "ANALYTICS_IDENTITY__DATABASE_URL"


class UnsafeConfiguration(RuntimeError):
    """The settings would open the door to callers that nobody knows; the message says what to change."""


def refuse_unsafe(settings: Settings) -> None:
    """Stop before the first request where the settings are not safe.

    Raises:
        UnsafeConfiguration: naming every setting that is missing, weak or a default, with its remedy.
    """
    faults = list(_faults(settings))
    if faults:
        raise UnsafeConfiguration(" ".join(faults))


def prepare_identity(settings: Settings) -> None:
    """Have the identity database's tables, or say why not, before the port is opened.

    Raises:
        UnsafeConfiguration: a server whose tables are not this release's, or that cannot be reached.
    """

    async def look() -> None:
        database = IdentityDatabase(settings.identity_url)
        try:
            await prepare(database)
        finally:
            await database.close()

    try:
        asyncio.run(look())
    except IdentityUnavailable as error:
        raise UnsafeConfiguration(str(error)) from error


def _faults(settings: Settings) -> Iterator[str]:
    api = settings.api
    if settings.auth is Auth.DEVELOPMENT:
        if settings.environment is not Environment.LOCAL:
            yield (
                f"ANALYTICS_API__AUTH is development, but ANALYTICS_ENVIRONMENT is {settings.environment.value}: "
                "nobody is trusted there without a credential. Leave it out, or set it to required."
            )
        if not is_loopback(api.host):
            yield (
                f"ANALYTICS_API__HOST is {api.host}, but in development every caller without a credential is the "
                "developer, so only this machine may reach the server. Set ANALYTICS_API__HOST=127.0.0.1, or "
                "ANALYTICS_API__AUTH=required."
            )
    elif not api.allowed_hosts and (settings.environment is not Environment.LOCAL or not is_loopback(api.host)):
        yield (
            "ANALYTICS_API__ALLOWED_HOSTS is missing. Set it to the names that clients call this server by, with "
            "commas between."
        )
    if settings.environment is Environment.LOCAL:
        return
    yield from _database_faults(settings)
    for weak in weak_secrets(settings):
        yield f"{weak.variable}: {weak.reason}."
    if settings.identity.signing_keys_dir is None:
        yield (
            "ANALYTICS_IDENTITY__SIGNING_KEYS_DIR is missing. Set it to a folder, such as a mounted secret, with an "
            "Ed25519 key <kid>.pem; `analytics keys rotate-signing` makes one there."
        )
    else:
        try:
            SigningKeys(settings.signing_keys_dir, retired_valid_s=ACCESS_TOKEN_S).check()
        except SigningKeysUnusable as error:
            yield f"ANALYTICS_IDENTITY__SIGNING_KEYS_DIR: {error}"


def _database_faults(settings: Settings) -> Iterator[str]:
    name = _DATABASE
    if settings.identity.database_url is None:
        yield f"{name} is missing. Set it to postgresql://user:password@host/database."
        return
    try:
        url = asynchronous(settings.identity_url)
    except IdentityUnavailable as error:
        yield str(error)
        return
    if url.get_backend_name() != "sqlite" and not url.password:
        yield f"{name} has no password. Give the database account a long random one."
