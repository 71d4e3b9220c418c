"""What a schema of the subset says, taken apart by JSON type, so that two of them can be compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | None


@dataclass(frozen=True)
class Values:
    """These scalars and no others: an enum, a constant, null, or the two booleans."""

    values: tuple[Scalar, ...]


@dataclass(frozen=True)
class Numbers:
    """Numbers between bounds; None is no bound. Bounds of whole numbers are inclusive."""

    whole: bool = False
    low: float | None = None
    low_is_open: bool = False
    high: float | None = None
    high_is_open: bool = False


@dataclass(frozen=True)
class Texts:
    """Strings by their length in characters and one pattern."""

    shortest: int = 0
    longest: int | None = None
    pattern: str | None = None


@dataclass(frozen=True)
class Arrays:
    """Arrays by their length and what each item is."""

    items: "Shape"
    fewest: int = 0
    most: int | None = None


@dataclass(frozen=True)
class Objects:
    """Objects by their properties; `others` is what a property without a schema of its own may hold."""

    properties: Mapping[str, "Shape"]
    required: frozenset[str]
    others: "Shape"

    def of(self, name: str) -> "Shape":
        """What the property may hold, whether it is named or not."""
        return self.properties.get(name, self.others)


Branch: TypeAlias = Values | Numbers | Texts | Arrays | Objects


@dataclass(frozen=True)
class Shape:
    """A value fits if one of the branches takes it. None: whatever JSON can say; an empty tuple: nothing."""

    branches: tuple[Branch, ...] | None

    def spelled_out(self) -> tuple[Branch, ...]:
        """The branches; of the shape that takes anything, one of each type without limits."""
        if self.branches is not None:
            return self.branches
        return (
            Values((None, True, False)),
            Numbers(),
            Texts(),
            Arrays(ANYTHING),
            Objects({}, frozenset(), ANYTHING),
        )


ANYTHING = Shape(None)
NOTHING = Shape(())


def type_of(value: Scalar) -> str:
    """The JSON type of a scalar; a boolean is no number, whatever Python says."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def same(one: Scalar, other: Scalar) -> bool:
    """Equal in JSON, where 1 and 1.0 are the same and true is not 1."""
    return type_of(one) == type_of(other) and one == other
