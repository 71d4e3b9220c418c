"""What a fix may do to a body. There is no expression and nothing is evaluated: a step names fields and values.

Steps on the text come before those on the fields, which need JSON to find them.
"""

import base64
import binascii
import copy
import json
from typing import Any, Literal

import msgspec

from platform_assets.contracts import strict_json
from platform_assets.contracts.rejections import AS_BASE64
from platform_assets.repair.casts import CannotCast, Kind, cast, check_unit, check_zone
from platform_assets.repair.paths import FieldPath, NoPlace, Place, parse_path

_FIXED = {
    "event_id": "it stays the id under which the rejection is known, so that a replay makes no second event",
    "correlation_id": "it says which rejection the event mends",
    "received_at": "the door sets it",
}
_MAX_TEXT_CHARS = 1000


class StepFailed(ValueError):
    """A step cannot be done on this body; the message says why, without the body's values."""


class _Step(msgspec.Struct, tag_field="do", forbid_unknown_fields=True, kw_only=True):
    pass


class ReplaceText(_Step, tag="replace_text"):
    """Replace a piece of the body's text everywhere, before it is read as JSON: `NaN` by `null`, say."""

    find: str
    replacement: str = msgspec.field(name="with")

    def __post_init__(self) -> None:
        if not self.find or max(len(self.find), len(self.replacement)) > _MAX_TEXT_CHARS:
            raise ValueError(f"`find` and `with` have up to {_MAX_TEXT_CHARS} characters, `find` at least one")

    def on_text(self, text: str) -> str:
        """The text with it."""
        return text.replace(self.find, self.replacement)


class DecodeBytes(_Step, tag="decode_bytes"):
    """Read a body that is not UTF-8 in the encoding that its sender used."""

    encoding: Literal["latin-1", "cp1252", "utf-16"]

    def on_text(self, text: str) -> str:
        """The decoded text; a text that was UTF-8 stays as it is."""
        if not text.startswith(AS_BASE64):
            return text
        try:
            return base64.b64decode(text.removeprefix(AS_BASE64), validate=True).decode(self.encoding)
        except (binascii.Error, UnicodeDecodeError):
            raise StepFailed(f"The body is not text in {self.encoding}") from None


class _FieldStep(_Step):
    path: str

    def __post_init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Raises ValueError where the step could do nothing sensible on any body."""
        _changeable(self.path)

    @property
    def at(self) -> FieldPath:
        """The parsed path."""
        return parse_path(self.path)


class _ValueStep(_FieldStep):
    value: Any

    def check(self) -> None:
        """Raises ValueError for what YAML knows and JSON does not: a date, say."""
        _changeable(self.path)
        _check_json(self.value)


class Set(_ValueStep, tag="set"):
    """Give a field a value, whether it is there or not."""

    def on_document(self, document: Any) -> None:
        """Change the document."""
        for place in self.at.made(document):
            place.put(copy.deepcopy(self.value))


class Default(_ValueStep, tag="default"):
    """Give a field a value where it is absent or null."""

    def on_document(self, document: Any) -> None:
        """Change the document."""
        for place in self.at.made(document):
            if place.value is None:
                place.put(copy.deepcopy(self.value))


class Drop(_FieldStep, tag="drop"):
    """Take a field out."""

    def on_document(self, document: Any) -> None:
        """Change the document."""
        # From the end, so that the positions before stay right.
        for place in reversed(self.at.existing(document)):
            place.take_out()


class Rename(_FieldStep, tag="rename"):
    """Give a field another name in the same object; one that has this name already is not overwritten."""

    to: str

    def check(self) -> None:
        """Raises ValueError for an empty name and for a field that is not a name."""
        path = _changeable(self.path)
        if not self.to or not isinstance(path.parts[-1], str):
            raise ValueError("rename gives a named field another name; use `move` for another place")
        if len(path.parts) == 1:
            _changeable(self.to)

    def on_document(self, document: Any) -> None:
        """Change the document."""
        for place in self.at.existing(document):
            target = Place(place.box, self.to)
            if target.is_there:
                raise StepFailed(f"{self.path} cannot be renamed: there is a {self.to} beside it")
            target.put(place.take_out())


class Move(_FieldStep, tag="move"):
    """Move a field to another place; what stands there already is not overwritten."""

    to: str

    def check(self) -> None:
        """Raises ValueError for paths of several fields."""
        if _changeable(self.path).has_every or _changeable(self.to).has_every:
            raise ValueError("move moves one field; [*] has no place in its paths")

    def on_document(self, document: Any) -> None:
        """Change the document."""
        target = parse_path(self.to)
        for place in self.at.existing(document):
            if target.existing(document):
                raise StepFailed(f"{self.path} cannot be moved: there is a {self.to} already")
            value = place.take_out()
            for free in target.made(document):
                free.put(value)


class Cast(_FieldStep, tag="cast"):
    """Make a field's value another kind: `"2"` the integer 2, say."""

    to: Kind
    unit: str = "s"
    zone: str = "UTC"

    def check(self) -> None:
        """Raises ValueError for an unknown unit or time zone."""
        _changeable(self.path)
        check_unit(self.unit)
        check_zone(self.zone)

    def on_document(self, document: Any) -> None:
        """Change the document."""
        for place in self.at.existing(document):
            try:
                place.put(cast(place.value, self.to, unit=self.unit, zone=self.zone))
            except CannotCast as error:
                raise StepFailed(f"{self.path}: {error}") from None


class ReplaceValue(_FieldStep, tag="replace_value"):
    """Replace a text value by the one that the table gives for it; others stay."""

    values: dict[str, Any]

    def check(self) -> None:
        """Raises ValueError for a replacement that is not JSON."""
        _changeable(self.path)
        _check_json(self.values)

    def on_document(self, document: Any) -> None:
        """Change the document."""
        for place in self.at.existing(document):
            value = place.value
            if isinstance(value, str) and value in self.values:
                place.put(copy.deepcopy(self.values[value]))


TextStep = ReplaceText | DecodeBytes
FieldStep = Set | Default | Drop | Rename | Move | Cast | ReplaceValue
Step = TextStep | FieldStep


def apply_steps(body: str, steps: list[Step]) -> dict[str, Any]:
    """The mended body as a document.

    Raises:
        StepFailed: a step cannot be done, or the body is no JSON object.
    """
    for step in steps:
        if isinstance(step, TextStep):
            body = step.on_text(body)
    document = _read(body)
    for step in steps:
        if isinstance(step, FieldStep):
            try:
                step.on_document(document)
            except NoPlace as error:
                raise StepFailed(str(error)) from None
    return document


def _read(body: str) -> dict[str, Any]:
    if body.startswith(AS_BASE64):
        raise StepFailed("The body is not UTF-8; `decode_bytes` says in which encoding to read it")
    try:
        document = strict_json.loads(body)
    except strict_json.RepeatedMember:
        message = "an object names a field twice, and nobody knows which of the two is meant"
        raise StepFailed(f"The body is not JSON: {message}") from None
    except strict_json.NotANumber as error:
        raise StepFailed(f"The body is not JSON: {error}; `replace_text` can make it null") from None
    except RecursionError:
        raise StepFailed("The JSON nests too deeply") from None
    except json.JSONDecodeError as error:
        raise StepFailed(f"The body is not JSON at character {error.pos}: {error.msg}") from None
    except ValueError as error:
        raise StepFailed(f"The body is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise StepFailed("The body is JSON, but not one object")
    return document


def _changeable(text: str) -> FieldPath:
    path = parse_path(text)
    reason = _FIXED.get(path.parts[0]) if isinstance(path.parts[0], str) else None
    if reason is not None:
        raise ValueError(f"A fix does not touch {path.parts[0]}: {reason}")
    return path


def _check_json(value: Any) -> None:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ValueError("A value has to be JSON; YAML reads a bare 2026-01-31 as a date: put it in quotes") from None
