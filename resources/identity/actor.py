"""On whose behalf something is done, as the audit log records it."""

import getpass
from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """`id` is a user's or a key's; `address` and `request_id` are empty for a command on this machine."""

    id: str
    address: str = ""
    request_id: str = ""


def operator() -> Actor:
    """Who runs a command here: it reads the database itself, so the account of the machine is what is known."""
    return Actor(f"operator:{getpass.getuser()}", address="this machine")


SYSTEM = Actor("system", address="this machine")
"""The platform itself, at its first start."""
