"""`analytics users | keys | audit | identity`: identity from the terminal of the machine that holds the database."""

import asyncio
import datetime as dt
import json
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from rich.table import Table
from sqlalchemy import select

from platform_assets.contracts.access import Role, Scope
from resources.identity.actor import operator
from resources.identity.audit_verification import verify as verify_chain
from resources.identity.database import IdentityDatabase, IdentityUnavailable
from resources.identity.errors import IdentityError
from resources.identity.keys import KeyKind, KeyRecord, NewKey
from resources.identity.models import AuditEntry
from resources.identity.schema import migrate as migrate_schema
from resources.identity.schema import revision
from resources.identity.service import AUDIT_HEAD, Identity
from resources.identity.signing_keys import SigningKeysUnusable
from resources.identity.users import UserKind, UserRecord
from resources.settings import Settings
from resources.settings.console import err, out
from resources.settings.options import with_settings

T = TypeVar("T")

_PAGE = 100
_ROLES = click.Choice([role.value for role in Role])


@click.group()
def users() -> None:
    """People and service accounts."""


@users.command("add")
@click.argument("name")
@click.option("--role", type=_ROLES, required=True)
@click.option("--service", is_flag=True, help="A service account: no password, only keys.")
@with_settings
def users_add(settings: Settings, name: str, role: str, service: bool) -> None:
    """Add an account; a user's password is asked for."""
    password = None if service else click.prompt("Password", hide_input=True, confirmation_prompt=True)
    kind = UserKind.SERVICE if service else UserKind.USER
    user = _run(settings, lambda identity: identity.users.create(name, Role(role), kind, password, operator()))
    out.print(f"{user.name} is {user.id}, {user.role.value}.")


@users.command("list")
@with_settings
def users_list(settings: Settings) -> None:
    """Print every account."""

    async def all_users(identity: Identity) -> list[UserRecord]:
        found: list[UserRecord] = []
        while page := await identity.users.page(found[-1].id if found else None, _PAGE):
            found += page
        return found

    table = _table("id", "name", "role", "kind", "active", "made")
    for user in _run(settings, all_users):
        active = "yes" if user.is_active else "no"
        table.add_row(user.id, user.name, user.role.value, user.kind.value, active, _time(user.created_ms))
    out.print(table)


@users.command("set-role")
@click.argument("name")
@click.argument("role", type=_ROLES)
@with_settings
def users_set_role(settings: Settings, name: str, role: str) -> None:
    """Give an account another role; it holds within five seconds."""
    _change(settings, name, role=Role(role))


@users.command("set-password")
@click.argument("name")
@with_settings
def users_set_password(settings: Settings, name: str) -> None:
    """Give a user another password and end its log-ins; the password is asked for."""
    password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    _change(settings, name, password=password)


@users.command("deactivate")
@click.argument("name")
@with_settings
def users_deactivate(settings: Settings, name: str) -> None:
    """Close an account: its log-ins and keys end within five seconds."""
    _change(settings, name, is_active=False)


@users.command("activate")
@click.argument("name")
@with_settings
def users_activate(settings: Settings, name: str) -> None:
    """Open a closed account again."""
    _change(settings, name, is_active=True)


@click.group()
def keys() -> None:
    """API keys, ingestion write keys and the keys that sign access tokens."""


@keys.command("create")
@click.argument("name")
@click.option("--owner", required=True, help="The user or service account whose key it is.")
@click.option("--write", is_flag=True, help="A write key: it only sends events.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice([scope.value for scope in Scope]))
@click.option("--events-per-minute", type=click.IntRange(min=1), help="A limit of its own.")
@click.option("--days", type=click.IntRange(min=1), help="Expires after so many days.")
@with_settings
def keys_create(
    settings: Settings,
    *,
    name: str,
    owner: str,
    write: bool,
    scopes: tuple[str, ...],
    events_per_minute: int | None,
    days: int | None,
) -> None:
    """Make a key and print its secret, which is not shown again."""
    expires = dt.datetime.now(dt.UTC) + dt.timedelta(days=days) if days else None
    new = NewKey(
        kind=KeyKind.WRITE if write else KeyKind.API,
        name=name,
        scopes=frozenset(map(Scope, scopes)) if scopes else None,
        events_per_minute=events_per_minute,
        expires_ms=int(expires.timestamp() * 1000) if expires else None,
    )

    async def create(identity: Identity) -> tuple[KeyRecord, str]:
        user = await identity.users.named(owner)
        return await identity.keys.create(user.id, new, operator(), within=frozenset(Scope))

    key, secret = _run(settings, create)
    err.print(f"{key.id} may {', '.join(sorted(key.scopes))}. Its secret, shown this once:")
    out.print(secret)


@keys.command("list")
@with_settings
def keys_list(settings: Settings) -> None:
    """Print every key, without its secret."""

    async def all_keys(identity: Identity) -> list[KeyRecord]:
        found: list[KeyRecord] = []
        while page := await identity.keys.page(found[-1].id if found else None, _PAGE, owner_id=None):
            found += page
        return found

    table = _table("id", "name", "kind", "scopes", "made", "expires", "revoked")
    for key in _run(settings, all_keys):
        table.add_row(
            key.id, key.name, key.kind.value, " ".join(sorted(key.scopes)), _time(key.created_ms),
            _time(key.expires_ms), _time(key.revoked_ms),
        )  # fmt: skip
    out.print(table)


@keys.command("revoke")
@click.argument("key_id")
@with_settings
def keys_revoke(settings: Settings, key_id: str) -> None:
    """End a key for good, within five seconds everywhere."""
    key = _run(settings, lambda identity: identity.keys.revoke(key_id, operator(), owner_id=None))
    out.print(f"{key.id} ({key.name}) is revoked.")


@keys.command("rotate-signing")
@with_settings
def keys_rotate_signing(settings: Settings) -> None:
    """Sign access tokens with a new key; tokens of the old one stay valid until they expire."""

    async def rotate(identity: Identity) -> str:
        kid = identity.signing_keys.rotate()
        async with identity.audit.change(operator()) as change:
            change.record("signing-key.rotated", kid)
        return kid

    out.print(f"{_run(settings, rotate, makes_first_key=True)} signs from now on.")


@click.group()
def audit() -> None:
    """The record of log-ins, refusals and changes of users and keys."""


@audit.command("verify")
@with_settings
def audit_verify(settings: Settings) -> None:
    """Follow the whole chain. Exit code 1, with the first broken entry, where it is not as it was written."""
    verdict = _run(settings, lambda identity: verify_chain(identity.database, settings.identity_dir / AUDIT_HEAD))
    if verdict.broken is not None:
        raise click.ClickException(f"Entry {verdict.broken}: {verdict.reason}.")
    out.print(f"{verdict.entries:,} entries, none changed, none missing. Head: {verdict.hash}")


@audit.command("show")
@click.option("-n", "--lines", default=40, show_default=True, type=click.IntRange(min=1))
@click.option("--action", help="Only this kind, as log-in.failed or access.")
@with_settings
def audit_show(settings: Settings, lines: int, action: str | None) -> None:
    """Print the newest entries, one JSON object a line, oldest first."""

    async def newest(identity: Identity) -> list[AuditEntry]:
        query = select(AuditEntry).order_by(AuditEntry.sequence.desc()).limit(lines)
        if action is not None:
            query = query.where(AuditEntry.action == action)
        async with identity.database.reading() as session:
            return list(reversed((await session.scalars(query)).all()))

    for entry in _run(settings, newest):
        shown = {
            "sequence": entry.sequence, "at": dt.datetime.fromtimestamp(entry.at_ms / 1000, dt.UTC).isoformat(),
            "action": entry.action, "outcome": entry.outcome, "actor": entry.actor, "subject": entry.subject,
            "address": entry.address, "request_id": entry.request_id, "details": json.loads(entry.details),
        }  # fmt: skip
        out.print(json.dumps(shown), markup=False)


@click.group()
def identity() -> None:
    """The identity database."""


@identity.command("migrate")
@with_settings
def identity_migrate(settings: Settings) -> None:
    """Bring the database's tables to this release; run it before the new release's servers start."""

    async def run() -> str | None:
        database = IdentityDatabase(settings.identity_url)
        try:
            await migrate_schema(database)
            return await revision(database)
        finally:
            await database.close()

    try:
        out.print(f"The identity database stands at migration {asyncio.run(run())}.")
    except IdentityUnavailable as error:
        raise click.ClickException(str(error)) from None


def _change(
    settings: Settings,
    name: str,
    *,
    role: Role | None = None,
    is_active: bool | None = None,
    password: str | None = None,
) -> None:
    async def change(identity: Identity) -> UserRecord:
        user = await identity.users.named(name)
        return await identity.users.change(user.id, operator(), role=role, is_active=is_active, password=password)

    user = _run(settings, change)
    out.print(f"{user.name} is {user.role.value}, {'active' if user.is_active else 'closed'}.")


def _run(settings: Settings, work: Callable[[Identity], Awaitable[T]], *, makes_first_key: bool = False) -> T:
    async def run() -> T:
        identity = Identity(settings)
        if makes_first_key:
            identity.signing_keys.ensure()
        await identity.start()
        try:
            return await work(identity)
        finally:
            await identity.stop()

    try:
        return asyncio.run(run())
    except (IdentityError, IdentityUnavailable, SigningKeysUnusable) as error:
        raise click.ClickException(str(error)) from None


def _table(*headings: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        # An id is there to be copied: never broken over two lines, however narrow the terminal is.
        table.add_column(heading, overflow="fold", no_wrap=heading == "id")
    return table


def _time(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "-"
    return dt.datetime.fromtimestamp(milliseconds / 1000, dt.UTC).strftime("%Y-%m-%d %H:%M")
