"""A person's session in a browser, over identity's log-ins: nothing here is stored."""

from dataclasses import dataclass

from api.web.cookies import Shown
from api.web.renewal import Renewals
from platform_assets.contracts.access import Principal
from resources.identity.actor import Actor
from resources.identity.errors import WrongCredentials
from resources.identity.log_ins import LogIns, TokenPair
from resources.identity.principals import Principals, Unidentified


@dataclass(frozen=True)
class Session:
    """Who is logged in. `renewed` is the pair that the browser has to keep from now on, where it is a new one."""

    principal: Principal
    renewed: TokenPair | None = None


class Sessions:
    """One per process."""

    def __init__(self, log_ins: LogIns, principals: Principals) -> None:
        self._log_ins = log_ins
        self._principals = principals
        self._renewals = Renewals()

    async def begin(self, name: str, password: str, shown: Shown, by: Actor) -> TokenPair:
        """Log in; a session that the browser had before ends.

        Raises:
            WrongCredentials, TooManyAttempts, Busy: as identity refuses.
        """
        pair = await self._log_ins.begin(name, password, by)
        await self.end(shown, by)
        return pair

    async def find(self, shown: Shown, by: Actor) -> Session | None:
        """The session behind these cookies, renewed where its access token has run out; None where there is none.

        Raises:
            IdentityUnavailable: the database cannot be asked.
        """
        if shown.access_token is not None:
            try:
                return Session(await self._principals.resolve(shown.access_token))
            except Unidentified:
                pass  # run out, most likely; the refresh token decides
        secret = shown.refresh_token
        if secret is None:
            return None
        try:
            pair = await self._renewals.renew(secret, lambda: self._log_ins.refresh(secret, by))
            return Session(await self._principals.resolve(pair.access_token), pair)
        except (WrongCredentials, Unidentified):
            return None

    async def end(self, shown: Shown, by: Actor) -> None:
        """Log out, at once in this process and within five seconds in every other."""
        if shown.refresh_token is not None:
            await self._log_ins.end(shown.refresh_token, by)
