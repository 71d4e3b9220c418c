"""Users and service accounts."""

import enum
import re
from dataclasses import dataclass

from sqlalchemy import func, select, update

from platform_assets.contracts.access import Role
from resources.identity.actor import Actor
from resources.identity.audit import AuditLog, Change
from resources.identity.database import IdentityDatabase
from resources.identity.errors import Conflict, Invalid, NotFound, WrongCredentials
from resources.identity.identifiers import new_id
from resources.identity.models import LogIn, User
from resources.identity.passwords import Passwords
from resources.identity.throttle import LogInThrottle

_NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,63}\Z")


class UserKind(enum.StrEnum):
    """A person logs in with a password; a service has keys only."""

    USER = "user"
    SERVICE = "service"


@dataclass(frozen=True)
class UserRecord:
    """What may be told of a user. `created_ms` is milliseconds since 1970, UTC."""

    id: str
    name: str
    kind: UserKind
    role: Role
    is_active: bool
    created_ms: int


class Users:
    """The accounts of the platform."""

    def __init__(
        self, database: IdentityDatabase, audit: AuditLog, passwords: Passwords, throttle: LogInThrottle
    ) -> None:
        self._database = database
        self._audit = audit
        self._passwords = passwords
        self._throttle = throttle

    async def create(self, name: str, role: Role, kind: UserKind, password: str | None, by: Actor) -> UserRecord:
        """A new account.

        Raises:
            Invalid: the name or password will not do, or a service account with a password.
            Conflict: the name is taken.
        """
        name = normalised(name)
        if not _NAME.match(name):
            raise Invalid("A name has 2 to 64 of a-z, 0-9 and . _ @ + - and begins with a letter or digit.")
        if (kind is UserKind.USER) is (password is None):
            raise Invalid("A user needs a password; a service account has none, only keys.")
        _refuse_own_name(name, password)
        password_hash = await self._passwords.hash(password) if password is not None else None
        async with self._audit.change(by) as change:
            if await change.session.scalar(select(User.id).where(User.name == name)) is not None:
                raise Conflict(f"There is a user {name!r} already.")
            user = User(
                id=new_id("usr", change.now_ms), name=name, kind=kind.value, role=role.value,
                password_hash=password_hash, is_active=True, created_ms=change.now_ms,
            )  # fmt: skip
            change.session.add(user)
            change.record("user.created", user.id, name=name, role=role.value, kind=kind.value)
        return _record(user)

    async def get(self, user_id: str) -> UserRecord:
        """One account.

        Raises:
            NotFound: there is none.
        """
        async with self._database.reading() as session:
            return _record(_present(await session.get(User, user_id)))

    async def named(self, name: str) -> UserRecord:
        """One account by its name.

        Raises:
            NotFound: there is none.
        """
        async with self._database.reading() as session:
            return _record(_present(await session.scalar(select(User).where(User.name == normalised(name)))))

    async def page(self, after: str | None, limit: int) -> list[UserRecord]:
        """Accounts in the order in which they were made, after an id."""
        query = select(User).order_by(User.id).limit(limit)
        if after is not None:
            query = query.where(User.id > after)
        async with self._database.reading() as session:
            return [_record(user) for user in await session.scalars(query)]

    async def has_people(self) -> bool:
        """Whether there is an account that somebody could log in to."""
        query = select(User.id).where(User.kind == UserKind.USER.value).limit(1)
        async with self._database.reading() as session:
            return await session.scalar(query) is not None

    async def change(
        self,
        user_id: str,
        by: Actor,
        *,
        role: Role | None = None,
        is_active: bool | None = None,
        password: str | None = None,
    ) -> UserRecord:
        """Give an account another role or password, close it or open it again. Closing ends its log-ins.

        Raises:
            NotFound: there is no such account.
            Conflict: it is the last administrator.
            Invalid: the password will not do, or the account is a service.
        """
        password_hash = await self._passwords.hash(password) if password is not None else None
        async with self._audit.change(by) as change:
            user = _present(await change.session.get(User, user_id))
            loses = (role is not None and role is not Role.ADMIN) or is_active is False
            if loses and user.role == Role.ADMIN.value and user.is_active and await _is_last_admin(change, user):
                raise Conflict("This is the last administrator; make another one first.")
            if password_hash is not None and user.kind == UserKind.SERVICE.value:
                raise Invalid("A service account has no password, only keys.")
            _refuse_own_name(user.name, password)
            if role is not None:
                user.role = role.value
            if is_active is not None:
                user.is_active = is_active
            if password_hash is not None:
                user.password_hash = password_hash
            if is_active is False or password_hash is not None:
                await _end_log_ins(change, user.id)
            change.record(
                "user.changed", user.id, role=role.value if role else None,
                is_active=None if is_active is None else str(is_active).lower(),
                password="changed" if password_hash else None,
            )  # fmt: skip
        return _record(user)

    async def change_own_password(self, user_id: str, current: str, new: str, by: Actor) -> None:
        """Needs the current one, so that a token left behind is not enough. Ends every log-in of the user.

        Raises:
            WrongCredentials: the current password is another.
            TooManyAttempts: at guessing it.
            Invalid: the new one will not do.
        """
        await self._throttle.attempt(user_id, by.address)
        async with self._database.reading() as session:
            user = _present(await session.get(User, user_id))
        if not await self._passwords.verify(user.password_hash, current):
            self._audit.note("user.password-change", by, subject=user_id)
            raise WrongCredentials("The current password is another.")
        await self._throttle.succeeded(user_id, by.address)
        await self.change(user_id, by, password=new)


def normalised(name: str) -> str:
    """Names are compared without regard to case and to space around them."""
    return name.strip().lower()


def _refuse_own_name(name: str, password: str | None) -> None:
    if password is not None and name in password.lower():
        raise Invalid("A password does not contain the user's name.")


def _record(user: User) -> UserRecord:
    return UserRecord(user.id, user.name, UserKind(user.kind), Role(user.role), user.is_active, user.created_ms)


def _present(user: User | None) -> User:
    if user is None:
        raise NotFound("There is no such user.")
    return user


async def _is_last_admin(change: Change, user: User) -> bool:
    others = select(func.count()).where(
        User.role == Role.ADMIN.value, User.kind == UserKind.USER.value, User.is_active, User.id != user.id
    )
    return user.kind == UserKind.USER.value and not await change.session.scalar(others)


async def _end_log_ins(change: Change, user_id: str) -> None:
    await change.session.execute(
        update(LogIn).where(LogIn.user_id == user_id, LogIn.revoked_ms.is_(None)).values(revoked_ms=change.now_ms)
    )
