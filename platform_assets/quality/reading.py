"""Reads expectations strictly: a mistake is refused with its place and with what is allowed there."""

from collections.abc import Mapping, Sequence
from typing import Any, cast, get_args

import msgspec

from platform_assets.quality.expectations import AnyExpectation, Expectation

TYPES: dict[str, type[Expectation]] = {str(kind.__struct_config__.tag): kind for kind in get_args(AnyExpectation)}
MOST_EXPECTATIONS = 1000


class BadExpectation(ValueError):
    """An expectation, or a suite of them, that cannot be read; the message names the place and what is allowed."""


def read_expectations(items: Sequence[Mapping[str, Any] | Expectation]) -> list[AnyExpectation]:
    """The expectations of dicts; what is an expectation already stays one.

    Raises:
        BadExpectation: see there.
    """
    if isinstance(items, str | bytes | Mapping) or not isinstance(items, Sequence):
        raise BadExpectation("`expectations` is a list")
    if not items:
        raise BadExpectation("`expectations` is empty: what expects nothing would always pass")
    if len(items) > MOST_EXPECTATIONS:
        raise BadExpectation(f"`expectations` has more than {MOST_EXPECTATIONS:,} entries")
    found = [
        cast("AnyExpectation", item) if isinstance(item, Expectation) else _read_one(item, f"expectations[{place}]")
        for place, item in enumerate(items)
    ]
    labels = [expectation.label for expectation in found]
    for place, label in enumerate(labels):
        if label in labels[:place]:
            raise BadExpectation(
                f"expectations[{place}]: there is a `{label}` already; give one of the two another `name`"
            )
    return found


def _read_one(item: Any, place: str) -> AnyExpectation:
    if not isinstance(item, Mapping):
        raise BadExpectation(f"{place}: an expectation is a mapping such as {{type: not_null, column: user_id}}")
    kind = TYPES.get(str(item.get("type")))
    if kind is None:
        said = f"unknown type {item['type']!r}" if "type" in item else "`type` is missing"
        raise BadExpectation(f"{place}: {said}; allowed are {', '.join(sorted(TYPES))}")
    refuse_unknown(item, ("type", *kind.__struct_fields__), f"{place} ({item['type']})")
    try:
        return cast("AnyExpectation", msgspec.convert(dict(item), kind))
    except msgspec.ValidationError as error:
        raise BadExpectation(f"{place} ({item['type']}): {error}") from None


def refuse_unknown(item: Mapping[Any, Any], allowed: Sequence[str], place: str) -> None:
    """Raise BadExpectation for a key that is not allowed."""
    for key in item:
        if key not in allowed:
            raise BadExpectation(f"{place}: unknown key {key!r}; allowed are {', '.join(allowed)}")
