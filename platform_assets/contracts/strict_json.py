"""JSON that means one thing only.

Python's parser keeps the last of two members of one name, where another reader may look at the first, and takes NaN,
which is no JSON.
"""

import json
from typing import Any, NoReturn


class RepeatedMember(ValueError):
    """An object names a member twice; `name` is which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"An object names a member twice: {name}")
        self.name = name


class NotANumber(ValueError):
    """NaN or an infinity stands where a value should; `name` is which."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} is no number of JSON")
        self.name = name


def loads(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        RepeatedMember, NotANumber: see there.
        json.JSONDecodeError: it is no JSON.
        ValueError: it is not UTF-8, or holds a number of more digits than Python reads.
        RecursionError: it nests too deeply.
    """
    return json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen = set[str]()
        for name, _ in pairs:
            if name in seen:
                raise RepeatedMember(name)
            seen.add(name)
    return members


def _refuse(name: str) -> NoReturn:
    raise NotANumber(name)
