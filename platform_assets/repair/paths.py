"""Paths to the fields of a JSON document, such as `payload.items[*].price`.

Names stand after dots, positions in brackets; `[*]` is every item, `["a.b"]` a name with other characters. A leading
`$` and `[...]` are taken too, so that a path can be copied from the reason of a rejection.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_PART = re.compile(
    r'(?P<dot>\.)?(?P<name>[A-Za-z0-9_@-]+)|\[(?P<index>\d{1,6})\]|\[(?P<every>\*|\.\.\.)\]|\["(?P<quoted>[^"\\]+)"\]'
)

EVERY = None
"""The part of a path that stands for all items of an array."""

Part = str | int | None


@dataclass(frozen=True)
class Place:
    """Where a value stands or would stand: a name of an object, or a position of an array that is there."""

    box: Any
    key: Any

    @property
    def is_there(self) -> bool:
        """Whether there is a value, null included."""
        return isinstance(self.box, list) or self.key in self.box

    @property
    def value(self) -> Any:
        """The value; None where there is none."""
        return self.box[self.key] if self.is_there else None

    def put(self, value: Any) -> None:
        """Write the value."""
        self.box[self.key] = value

    def take_out(self) -> Any:
        """Remove the value and return it."""
        return self.box.pop(self.key)


class BadPath(ValueError):
    """A text that is no path; the message says where it goes wrong."""


class NoPlace(ValueError):
    """The document has something else on the way to a field."""


@dataclass(frozen=True)
class FieldPath:
    """A parsed path; it has at least one part."""

    text: str
    parts: tuple[Part, ...]

    @property
    def has_every(self) -> bool:
        """Whether it may lead to several fields."""
        return EVERY in self.parts

    def existing(self, document: Any) -> list[Place]:
        """The places of the fields that are there. None is no error: the contract decides what has to be there."""
        return [place for place in self._places(document, make=False) if place.is_there]

    def made(self, document: Any) -> list[Place]:
        """The places to write to; objects that are missing on the way are made.

        Raises:
            NoPlace: something on the way is no object, or an array is too short.
        """
        return list(self._places(document, make=True))

    def _places(self, document: Any, *, make: bool) -> Iterator[Place]:
        containers = [document]
        for part, following in itertools.pairwise(self.parts):
            places = [place for container in containers for place in self._step(container, part, make=make)]
            for place in places:
                if make and place.value is None and isinstance(following, str):
                    place.put({})
            containers = [place.value for place in places]
        for container in containers:
            yield from self._step(container, self.parts[-1], make=make)

    def _step(self, container: Any, part: Part, *, make: bool) -> Iterator[Place]:
        if isinstance(container, dict) and isinstance(part, str):
            yield Place(container, part)
        elif isinstance(container, list) and part is EVERY:
            yield from (Place(container, index) for index in range(len(container)))
        elif isinstance(container, list) and isinstance(part, int) and part < len(container):
            yield Place(container, part)
        elif make:
            wanted = "an object" if isinstance(part, str) else "an array that is long enough"
            raise NoPlace(f"{self.text}: before {'[*]' if part is EVERY else repr(part)} there has to be {wanted}")


def parse_path(text: str) -> FieldPath:
    """Read a path.

    Raises:
        BadPath: see there.
    """
    rest = text.removeprefix("$.") if text.startswith("$.") else text.removeprefix("$")
    parts: list[Part] = []
    position = 0
    while position < len(rest):
        found = _PART.match(rest, position)
        if found is None or (found["name"] and bool(found["dot"]) != bool(parts)):
            raise BadPath(f"{text!r} is not a path from {rest[position:]!r} on; one looks like payload.items[0].price")
        if found["every"]:
            parts.append(EVERY)
        else:
            parts.append(int(found["index"]) if found["index"] else found["name"] or found["quoted"])
        position = found.end()
    if not parts:
        raise BadPath(f"{text!r} names no field")
    return FieldPath(text, tuple(parts))
