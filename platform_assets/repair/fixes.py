"""A fix file: which rejected events to mend, and how. YAML or JSON.

fixes:
  - match: {event_name: purchase_line, reason: "got `str` - at `$.payload.quantity`"}
    steps:
      - {do: cast, path: payload.quantity, to: integer}
"""

import datetime as dt
from typing import Annotated

import msgspec

from platform_assets.contracts.rejections import Origin
from platform_assets.repair.steps import FieldStep, Step, TextStep

MAX_FILE_BYTES = 1_000_000


class BadFix(ValueError):
    """A file that is no fix; the message names the place."""


class Match(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Which rejections: all conditions that are given hold.

    `reason` is a piece of the reason, or of it with every number written as `#`, as `rejected list` shows it. `since`
    is included, `until` is not.
    """

    ids: list[str] | None = None
    reason: str | None = None
    event_name: str | None = None
    origin: Origin | None = None
    since: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None
    until: Annotated[dt.datetime, msgspec.Meta(tz=True)] | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no condition is given."""
        return self == Match()


class Fix(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """One way to mend some rejections. Without steps they are sent as they are: the contract may have changed."""

    match: Match
    steps: Annotated[list[Step], msgspec.Meta(max_length=100)] = []

    def __post_init__(self) -> None:
        if self.match.is_everything:
            raise ValueError(
                "`match` needs a condition; one that holds for all open rejections: since: 1970-01-01T00:00:00Z"
            )
        kinds = [isinstance(step, FieldStep) for step in self.steps]
        if kinds != sorted(kinds):
            names = " and ".join(str(kind.__struct_config__.tag) for kind in TextStep.__args__)
            raise ValueError(f"{names} change the text and come before the steps on fields")


class FixFile(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Fixes in order; a rejection is mended by the first that matches it."""

    fixes: Annotated[list[Fix], msgspec.Meta(min_length=1, max_length=100)]


def read_fixes(text: bytes) -> list[Fix]:
    """The fixes of a file.

    Raises:
        BadFix: see there.
    """
    if len(text) > MAX_FILE_BYTES:
        raise BadFix(f"A fix file has at most {MAX_FILE_BYTES:,} bytes")
    try:
        return msgspec.yaml.decode(text, type=FixFile).fixes
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadFix(str(error)) from None


def fixes_from(document: object) -> list[Fix]:
    """The fixes of a document that has been read already, a run's configuration say.

    Raises:
        BadFix: see there.
    """
    try:
        return msgspec.convert(document, FixFile).fixes
    except msgspec.ValidationError as error:
        raise BadFix(str(error)) from None
