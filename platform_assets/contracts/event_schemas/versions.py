"""One version of an event's schema, as it is stored: never changed once it is there."""

from typing import Annotated, Any

import msgspec

from platform_assets.contracts.event_schemas.compatibility import Compatibility
from platform_assets.contracts.events import AwareDatetime, Name


class SchemaVersion(
    msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, rename={"document": "schema"}
):
    """A payload's schema from `in_force_from` on, until that of the next version.

    An event is judged by the version that was in force when the door received it (`received_at`), whenever and
    wherever it is read: the door and the stream agree, and a second reading of the log says what the first one did.
    """

    event_name: Name
    version: Annotated[int, msgspec.Meta(ge=1, le=99_999)]
    compatibility: Compatibility
    registered_at: AwareDatetime
    in_force_from: AwareDatetime
    registered_by: Annotated[str, msgspec.Meta(max_length=200)]
    document: dict[str, Any]


def encode_version(version: SchemaVersion) -> bytes:
    """The content of the version's file, for people to read as well."""
    return msgspec.json.format(msgspec.json.encode(version), indent=2) + b"\n"


def decode_version(content: bytes) -> SchemaVersion:
    """The inverse of `encode_version`. Raises msgspec.DecodeError."""
    return msgspec.json.decode(content, type=SchemaVersion)


def is_same_document(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two schemas say the same in the same words; the order of keys says nothing."""
    return msgspec.json.encode(one, order="sorted") == msgspec.json.encode(other, order="sorted")
