"""What changed between two states of the contract, and whom that breaks.

Writers are those whose data is judged by the contract: clients, producers, files that landed before. They are broken by
what was valid and is refused now. Readers are those who rely on what it promises: models, queries, dashboards. They are
broken by what is gone, by another type, by a null or an absence that could not be. That values may be larger, or one of
a new kind, breaks nobody.

An entry with a version (the envelope, a topic, a window, a feature set) may change its meaning with a greater version:
that is a declared break, which whoever reads the version it learned can see.
"""

import enum
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from platform_assets.contracts.document import ContractDocument, Entry


class Side(enum.StrEnum):
    """Whom a change breaks."""

    WRITERS = "writers"
    READERS = "readers"


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One difference; without an attribute the entry itself came or went. `breaks` is empty where it is harmless."""

    entry: str
    place: str | None
    attribute: str | None
    before: Any
    after: Any
    breaks: tuple[Side, ...]
    declared: bool
    """By a greater version."""

    @property
    def is_breaking(self) -> bool:
        """Whether it breaks somebody and no greater version says so."""
        return bool(self.breaks) and not self.declared

    @property
    def is_gone(self) -> bool:
        """Whether the entry itself is there no more."""
        return self.attribute is None and self.after is None

    def __str__(self) -> str:
        if self.attribute is None:
            what = "is new" if self.before is None else "is gone"
        else:
            what = f"{self.attribute}: {_json(self.before)} → {_json(self.after)}"
        return f"{self.entry}: {what}"


NOBODY: tuple[Side, ...] = ()
WRITERS, READERS, BOTH = (Side.WRITERS,), (Side.READERS,), (Side.WRITERS, Side.READERS)


def changes_between(before: ContractDocument, after: ContractDocument) -> list[Change]:
    """Every difference, in the order of the entries' names.

    Raises:
        ValueError: the documents have different formats.
    """
    if before.format != after.format:
        raise ValueError(f"A contract document of format {before.format} cannot be compared with one of {after.format}")
    found: list[Change] = []
    for name in sorted(before.entries.keys() | after.entries.keys()):
        old, new = before.entries.get(name), after.entries.get(name)
        found.extend(_changes(name, old, new, declared=_is_declared(name, before, after)))
    return found


def _changes(name: str, old: Entry | None, new: Entry | None, *, declared: bool) -> Iterator[Change]:
    def change(attribute: str | None, one: Any, other: Any, breaks: tuple[Side, ...]) -> Change:
        place = (old or new or Entry(kind="")).place
        return Change(
            entry=name, place=place, attribute=attribute, before=one, after=other, breaks=breaks, declared=declared
        )

    if old is None and new is not None:
        yield change(None, None, new.attributes, _breaks_by_coming(new))
    elif new is None and old is not None:
        yield change(None, old.attributes, None, BOTH if old.kind in _SENT else READERS)
    elif old is not None and new is not None:
        if old.version != new.version:
            # Only a greater one is a declaration; a smaller one takes back what somebody has learned.
            yield change("version", old.version, new.version, NOBODY if declared else BOTH)
        for attribute in sorted(old.attributes.keys() | new.attributes.keys()):
            one, other = old.attributes.get(attribute), new.attributes.get(attribute)
            if one != other:
                yield change(attribute, one, other, _breaks(attribute, one, other, new))


_SENT = frozenset({"envelope", "door", "record", "payload", "payload_field", "topic"})


def _breaks_by_coming(entry: Entry) -> tuple[Side, ...]:
    match entry.kind:
        case "door" | "payload_field" | "record":
            # What is on the log already, and what clients send, does not have it.
            return NOBODY if entry.attributes.get("may_be_absent") else WRITERS
        case "payload":
            # Events of this name were generic before, and took any object.
            return WRITERS
        case "column":
            # A load asks each file for each column, and those that landed before do not have it.
            return WRITERS
        case _:
            return NOBODY


def _breaks_by_raising(one: Any, other: Any) -> tuple[Side, ...]:
    return WRITERS if other is not None and (one is None or other > one) else NOBODY


def _breaks_by_lowering(one: Any, other: Any) -> tuple[Side, ...]:
    return WRITERS if other is not None and (one is None or other < one) else NOBODY


def _breaks_by_asking(_: Any, other: Any) -> tuple[Side, ...]:
    # Two patterns are not compared: another one may refuse what the first one took.
    return WRITERS if other else NOBODY


def _breaks_by_listing(one: Any, other: Any) -> tuple[Side, ...]:
    return NOBODY if other is None or (one is not None and set(one) <= set(other)) else WRITERS


def _breaks_by_ruling(one: Any, other: Any) -> tuple[Side, ...]:
    return NOBODY if set(other or ()) <= set(one or ()) else WRITERS


def _breaks_by_offering_less(one: Any, other: Any) -> tuple[Side, ...]:
    kept = one.items() <= other.items() if isinstance(one, dict) else set(one) <= set(other)
    return NOBODY if kept else READERS


def _breaks_by_type(one: Any, other: Any) -> tuple[Side, ...]:
    return READERS if (one, other) in _WIDENED else BOTH


# Whatever was written fits the second; a reader of the first may meet what it cannot hold.
_WIDENED = frozenset({("integer", "number"), ("int32", "int64"), ("int", "float"), ("date", "timestamp")})

_Rule = Callable[[Any, Any], tuple[Side, ...]]
_RULES: dict[str, _Rule] = {
    **dict.fromkeys(("minimum", "above", "shortest"), _breaks_by_raising),
    **dict.fromkeys(("maximum", "below", "before", "longest", "max_bytes", "max_nesting"), _breaks_by_lowering),
    **dict.fromkeys(("pattern", "multiple_of", "refuses_unknown_fields"), _breaks_by_asking),
    **dict.fromkeys(("nullable", "may_be_absent"), lambda _, other: READERS if other else WRITERS),
    **dict.fromkeys(("grains", "dimensions"), _breaks_by_offering_less),
    "type": _breaks_by_type,
    "values": _breaks_by_listing,
    "rules": _breaks_by_ruling,
}
"""By attribute, whom a change of it breaks; of any other attribute each change is one of meaning."""

_MADE_HERE = frozenset({"window", "aggregate", "feature_set", "feature", "served", "metric"})
"""Kinds that only have readers: nobody else writes them."""


def _breaks(attribute: str, one: Any, other: Any, entry: Entry) -> tuple[Side, ...]:
    rule = _RULES.get(attribute)
    breaks = BOTH if rule is None else rule(one, other)
    return READERS if breaks and entry.kind in _MADE_HERE else breaks


def _is_declared(name: str, before: ContractDocument, after: ContractDocument) -> bool:
    """Whether a greater version of the entry, or of the one that it belongs to, says that its meaning changed."""
    return any(_is_greater(one, before.entries, after.entries) for one in _versioned(name, before, after))


def _versioned(name: str, before: ContractDocument, after: ContractDocument) -> set[str]:
    entries = [document.entries[name] for document in (before, after) if name in document.entries]
    return {name, *(entry.owner for entry in entries if entry.owner is not None)}


def _is_greater(name: str, before: Mapping[str, Entry], after: Mapping[str, Entry]) -> bool:
    old, new = before.get(name), after.get(name)
    if old is None or new is None or old.version is None or new.version is None:
        return False
    return new.version > old.version


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
