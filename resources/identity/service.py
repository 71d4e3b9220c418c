"""Identity as one object: made once per process, started and stopped with it."""

import time
from collections.abc import Callable

from resources.identity.access_tokens import ACCESS_TOKEN_S, LEEWAY_S, AccessTokens
from resources.identity.audit import AuditLog
from resources.identity.database import IdentityDatabase
from resources.identity.keys import Keys
from resources.identity.log_ins import LogIns
from resources.identity.passwords import Passwords
from resources.identity.principals import Principals
from resources.identity.schema import prepare
from resources.identity.signing_keys import SigningKeys
from resources.identity.throttle import LogInThrottle
from resources.identity.users import Users
from resources.settings import Settings

AUDIT_HEAD = "audit-head"


def _wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Identity:
    """The parts, wired for these settings. `now_ms` is the time that rows are stamped with."""

    def __init__(self, settings: Settings, now_ms: Callable[[], int] = _wall_clock_ms) -> None:
        self._makes_keys = settings.identity.signing_keys_dir is None
        self.database = IdentityDatabase(settings.identity_url)
        self.head_file = settings.identity_dir / AUDIT_HEAD
        self.signing_keys = SigningKeys(settings.signing_keys_dir, retired_valid_s=ACCESS_TOKEN_S + LEEWAY_S)
        issuer = settings.identity.issuer or f"urn:analytics:{settings.environment.value}"
        tokens = AccessTokens(self.signing_keys, issuer=issuer, audience=settings.identity.audience, now_ms=now_ms)
        self.passwords = Passwords()
        self.audit = AuditLog(self.database, self.head_file, now_ms)
        self.throttle = LogInThrottle(self.database, now_ms)
        self.users = Users(self.database, self.audit, self.passwords, self.throttle)
        self.keys = Keys(self.database, self.audit)
        self.log_ins = LogIns(self.database, self.audit, self.passwords, tokens, self.throttle)
        self.principals = Principals(self.database, tokens, now_ms)
        # In this process a change has its effect at once, in others within `principals.CACHE_S`.
        self.audit.on_access_ended = self.principals.forget

    async def start(self) -> None:
        """Have the tables and the keys.

        Raises:
            SchemaBehind: a server's tables are not this release's.
            IdentityUnavailable: the database cannot be reached.
            SigningKeysUnusable: the folder that was named has no usable key.
        """
        await prepare(self.database)
        if self._makes_keys:
            self.signing_keys.ensure()
        self.signing_keys.check()
        self.audit.start()

    async def stop(self) -> None:
        """Write what is left of the audit log and close the database."""
        await self.audit.stop()
        self.passwords.close()
        await self.database.close()
