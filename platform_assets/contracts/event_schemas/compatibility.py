"""Which version of a schema may follow which.

`backward`: whatever was valid stays valid, so senders of the version before go on unchanged. `forward`: whatever is
valid from now on was valid before, so readers of the version before go on unchanged. `full` is both, `none` neither.

The comparison is sound and not complete: what it calls compatible is so for every payload; what it cannot prove (a
changed pattern, a range that two alternatives only cover together) it calls a violation.
"""

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from platform_assets.contracts.event_schemas.containment import Gap, gaps_between
from platform_assets.contracts.event_schemas.shapes import Shape


class Compatibility(enum.StrEnum):
    """What a version promises about the one before it."""

    BACKWARD = "backward"
    FORWARD = "forward"
    FULL = "full"
    NONE = "none"


@dataclass(frozen=True)
class Violation:
    """One way in which the promise does not hold: where in the payload, why, and what would keep it."""

    path: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


def violations_of(before: Shape, after: Shape, promise: Compatibility) -> list[Violation]:
    """Every way in which `after` breaks the promise about `before`; none if it is kept."""
    found: list[Violation] = []
    if promise in {Compatibility.BACKWARD, Compatibility.FULL}:
        found.extend(_named(gaps_between(before, after), "the version before", "this one", widens_after=True))
    if promise in {Compatibility.FORWARD, Compatibility.FULL}:
        found.extend(_named(gaps_between(after, before), "this version", "the one before", widens_after=False))
    return found


def _named(gaps: Iterable[Gap], giver: str, taker: str, *, widens_after: bool) -> Iterable[Violation]:
    for gap in gaps:
        remedy = gap.widen if widens_after else gap.narrow
        yield Violation(gap.path, f"{giver} allows {gap.what}, {taker} refuses that", remedy)
