"""Breaks of the contract that somebody has decided on, each with its reason, kept in the repository.

A break is known by its entry and attribute and by what it was before and after. So an accepted one stays accepted
until the base has moved past it, and another change of the same field does not pass with it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from platform_assets import contracts
from platform_assets.contracts.changes import Change

ACCEPTED_BREAKS = Path(contracts.__file__).with_name("accepted_breaks.json")


class AcceptedBreak(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One decision."""

    entry: str
    attribute: str | None
    before: Any
    after: Any
    reason: str


class DecisionsUnreadable(ValueError):
    """The file of decisions is damaged."""


def read_accepted(path: Path = ACCEPTED_BREAKS) -> list[AcceptedBreak]:
    """Every decision, oldest first; none without a file. Raises DecisionsUnreadable."""
    if not path.exists():
        return []
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[AcceptedBreak])
    except msgspec.DecodeError as error:
        raise DecisionsUnreadable(f"{path} cannot be read: {error}; mend it, or restore it from Git.") from None


def is_accepted(change: Change, accepted: Iterable[AcceptedBreak]) -> bool:
    """Whether somebody has decided on exactly this change."""
    return any(_same(change, one) for one in accepted)


def accept(changes: Iterable[Change], reason: str, path: Path = ACCEPTED_BREAKS) -> None:
    """Write the decision on each of the changes down."""
    decided = [
        AcceptedBreak(
            entry=change.entry, attribute=change.attribute, before=change.before, after=change.after, reason=reason
        )
        for change in changes
    ]
    content = msgspec.json.encode([*read_accepted(path), *decided])
    path.write_bytes(msgspec.json.format(content, indent=2) + b"\n")


def _same(change: Change, decided: AcceptedBreak) -> bool:
    # As JSON: a tuple in code is a list in the file.
    one = (change.entry, change.attribute, change.before, change.after)
    other = (decided.entry, decided.attribute, decided.before, decided.after)
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
