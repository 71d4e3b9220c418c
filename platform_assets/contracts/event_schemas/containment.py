"""Does one shape take all that another one takes? Where not, where and what it misses."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from platform_assets.contracts.event_schemas.shapes import (
    Arrays,
    Branch,
    Numbers,
    Objects,
    Scalar,
    Shape,
    Texts,
    Values,
    same,
    type_of,
)

_Sizes = tuple[int, int | None]
"""The least and the most; None is no limit."""


@dataclass(frozen=True)
class Gap:
    """Something that the giving side allows and the taking side refuses.

    `widen` is what to change on the taking side to close it, `narrow` on the giving side. A path is `$`, a property as
    `.name`, any other property as `.*` and an item as `[]`.
    """

    path: str
    what: str
    widen: str
    narrow: str


def gaps_between(giving: Shape, taking: Shape, path: str = "$") -> list[Gap]:
    """Empty only if every value that fits `giving` fits `taking`."""
    if taking.branches is None:
        return []
    found = [gap for branch in giving.spelled_out() for gap in _branch_gaps(branch, taking.branches, path)]
    if found and giving.branches is None:
        what = "any value here, as nothing narrows it"
        return [Gap(path, what, "leave it as open, or use a new name for what is narrower", "narrow it likewise")]
    return found


def _branch_gaps(giving: Branch, taking: Sequence[Branch], path: str) -> list[Gap]:
    if isinstance(giving, Values):
        # Value by value, as several alternatives may share them.
        missed = [value for value in giving.values if not any(_admits(branch, value) for branch in taking)]
        return [_missed_value(value, path) for value in missed]
    rivals = [branch for branch in taking if type(branch) is type(giving)]
    if rivals:
        return min((_gaps(giving, branch, path) for branch in rivals), key=len)
    kind = _kind(giving)
    if any(isinstance(branch, Values) and kind in map(type_of, branch.values) for branch in taking):
        return [Gap(path, f"more than some {kind}s", f"take any {kind} instead of an enum", "keep to the enum")]
    return [Gap(path, f"the type {kind}", f"allow the type {kind} here", f"do not allow the type {kind} here")]


def _admits(branch: Branch, value: Scalar) -> bool:
    match branch:
        case Values():
            return any(same(value, other) for other in branch.values)
        case Numbers() if isinstance(value, int | float) and not isinstance(value, bool):
            is_whole = float(value).is_integer()
            return (is_whole or not branch.whole) and not _bound_gaps(Numbers(False, value, False, value), branch, "")
        case Texts() if isinstance(value, str):
            within = branch.shortest <= len(value) and (branch.longest is None or len(value) <= branch.longest)
            # Engines of regular expressions differ: no text is tried on a pattern here.
            return within and branch.pattern is None
        case _:
            return False


def _gaps(giving: Branch, taking: Branch, path: str) -> list[Gap]:
    match giving, taking:
        case Numbers(), Numbers():
            gaps = _bound_gaps(giving, taking, path)
            if taking.whole and not giving.whole:
                gaps.append(Gap(path, "fractions", "use the type number", "use the type integer"))
            return gaps
        case Texts(), Texts():
            gaps = _size_gaps((giving.shortest, giving.longest), (taking.shortest, taking.longest), "characters", path)
            if taking.pattern is not None and taking.pattern != giving.pattern:
                what = f"texts that need not match {taking.pattern}"
                widen = "leave the pattern as it was, or out: two patterns are not compared"
                gaps.append(Gap(path, what, widen, f"use the pattern {taking.pattern}"))
            return gaps
        case Arrays(), Arrays():
            gaps = _size_gaps((giving.fewest, giving.most), (taking.fewest, taking.most), "items", path)
            return gaps if giving.most == 0 else gaps + gaps_between(giving.items, taking.items, f"{path}[]")
        case Objects(), Objects():
            return _object_gaps(giving, taking, path)
        case _:
            raise TypeError(f"{type(giving).__name__} and {type(taking).__name__} are not of one type")


def _object_gaps(giving: Objects, taking: Objects, path: str) -> list[Gap]:
    gaps = [
        Gap(f"{path}.{name}", "objects without it", "leave it out of `required`", "make it required")
        for name in sorted(taking.required - giving.required)
    ]
    for name in sorted(giving.properties.keys() | taking.properties.keys()):
        gaps.extend(_property_gaps(giving.of(name), taking.of(name), f"{path}.{name}"))
    return gaps + _property_gaps(giving.others, taking.others, f"{path}.*")


def _property_gaps(giving: Shape, taking: Shape, path: str) -> list[Gap]:
    if giving.branches == ():
        return []
    if taking.branches == ():
        narrow = "take it out, and set additionalProperties to false"
        return [Gap(path, "it", "keep it in `properties`, or allow additional properties", narrow)]
    return gaps_between(giving, taking, path)


def _bound_gaps(giving: Numbers, taking: Numbers, path: str) -> list[Gap]:
    gaps: list[Gap] = []
    if taking.low is not None and (
        giving.low is None
        or giving.low < taking.low
        or (giving.low == taking.low and taking.low_is_open and not giving.low_is_open)
    ):
        allowed = "leave the minimum out" if giving.low is None else f"lower the minimum to {giving.low:,}"
        what = f"{taking.low:,}" if giving.low == taking.low else f"numbers below {taking.low:,}"
        gaps.append(Gap(path, what, allowed, f"raise the minimum to {taking.low:,}"))
    if taking.high is not None and (
        giving.high is None
        or giving.high > taking.high
        or (giving.high == taking.high and taking.high_is_open and not giving.high_is_open)
    ):
        allowed = "leave the maximum out" if giving.high is None else f"raise the maximum to {giving.high:,}"
        what = f"{taking.high:,}" if giving.high == taking.high else f"numbers above {taking.high:,}"
        gaps.append(Gap(path, what, allowed, f"lower the maximum to {taking.high:,}"))
    return gaps


def _size_gaps(giving: _Sizes, taking: _Sizes, unit: str, path: str) -> list[Gap]:
    gaps: list[Gap] = []
    (giving_least, giving_most), (taking_least, taking_most) = giving, taking
    if giving_least < taking_least:
        what = f"fewer than {taking_least:,} {unit}"
        gaps.append(Gap(path, what, f"allow {giving_least:,} {unit} too", f"ask for {taking_least:,} {unit} at least"))
    if taking_most is not None and (giving_most is None or giving_most > taking_most):
        allowed = f"any number of {unit}" if giving_most is None else f"up to {giving_most:,} {unit}"
        what = f"more than {taking_most:,} {unit}"
        gaps.append(Gap(path, what, f"allow {allowed}", f"allow at most {taking_most:,} {unit}"))
    return gaps


def _missed_value(value: Scalar, path: str) -> Gap:
    text = json.dumps(value, ensure_ascii=False)
    return Gap(path, f"the value {text}", f"allow {text} here", f"do not allow {text} here")


def _kind(branch: Numbers | Texts | Arrays | Objects) -> str:
    match branch:
        case Numbers():
            return "integer" if branch.whole else "number"
        case Texts():
            return "string"
        case Arrays():
            return "array"
        case Objects():
            return "object"
