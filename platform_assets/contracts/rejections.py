"""A rejected event: what was sent, why it was not taken, and where it was stopped."""

import base64
import datetime as dt
import enum
import hashlib
import re

import msgspec

MAX_BODY_CHARS = 200_000
AS_BASE64 = "base64:"
NUMBER_IN_A_REASON = "[0-9]+([.,][0-9]+)*"
"""Reasons that differ in these only are alike: they quote positions and values."""
REPLAY = "replay:"
"""With the rejection's id, the correlation id of an event that a replay sent: the log's own mark of what was mended."""


class Origin(enum.StrEnum):
    """Who stopped the event."""

    DOOR = "door"
    STREAM = "stream"


class Status(enum.StrEnum):
    """What has become of a rejection: read off the log, stored nowhere.

    `replayed`: the event of its id that counts was sent by a replay of this rejection. `superseded`: one of its id was
    accepted in another way, or a later rejection is about the same id. `open`: neither, it waits to be mended.
    """

    OPEN = "open"
    REPLAYED = "replayed"
    SUPERSEDED = "superseded"


class Rejection(msgspec.Struct, kw_only=True, frozen=True):
    """One record of `events.rejected.v1`.

    `body` is the text as sent, or `base64:` and the bytes where they are not UTF-8. `source_*` say where on the log
    the record stands that the stream stopped; the door leaves them null.
    """

    rejection_id: str
    event_id: str
    origin: Origin
    reason: str
    body: str
    rejected_at: dt.datetime
    correlation_id: str | None = None
    source_topic: str | None = None
    source_log: str | None = None
    source_partition: int | None = None
    source_offset: int | None = None


class KnownRejection(Rejection, kw_only=True, frozen=True):
    """A rejection and what the log says of it by now. `event_name` is the body's own, where it names one."""

    event_name: str | None
    status: Status
    accepted_at: dt.datetime | None = None
    """When the event of this id that counts was accepted, replayed or not."""


REJECTION_FIELDS: tuple[str, ...] = tuple(field.name for field in msgspec.structs.fields(Rejection))

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Rejection)


def encode_rejection(rejection: Rejection) -> bytes:
    """The bytes of the record on the rejected topic."""
    return _encoder.encode(rejection)


def decode_rejection(value: bytes) -> Rejection:
    """The inverse of `encode_rejection`. Raises msgspec.DecodeError."""
    return _decoder.decode(value)


def reason_pattern(reason: str) -> str:
    """The reason with every number written as `#`."""
    return re.sub(NUMBER_IN_A_REASON, "#", reason)


def replay_correlation_id(rejection_id: str) -> str:
    """The correlation id of the event that a replay of this rejection sends."""
    return REPLAY + rejection_id


def refuse_at_the_door(
    body: bytes, *, reason: str, event_id: str | None, rejected_at: dt.datetime, correlation_id: str
) -> Rejection:
    """A rejection by the API. An event without a usable id is known by the hash of its body."""
    known_as = event_id or "body-" + hashlib.sha256(body).hexdigest()[:32]
    return Rejection(
        rejection_id=_digest("door", known_as, reason, body),
        event_id=known_as,
        origin=Origin.DOOR,
        reason=reason,
        body=_as_text(body),
        rejected_at=rejected_at,
        correlation_id=correlation_id,
    )


def reject_in_the_stream(
    value: bytes,
    *,
    reason: str,
    event_id: str | None,
    rejected_at: dt.datetime,
    topic: str,
    log: str,
    partition: int,
    offset: int,
) -> Rejection:
    """A rejection by the stream worker; its id is that of the record's place, so a second pass makes the same one."""
    place = f"{topic}/{log}/{partition}/{offset}"
    return Rejection(
        rejection_id=_digest("stream", place, "", b""),
        event_id=event_id or "record-" + hashlib.sha256(place.encode()).hexdigest()[:32],
        origin=Origin.STREAM,
        reason=reason,
        body=_as_text(value),
        rejected_at=rejected_at,
        source_topic=topic,
        source_log=log,
        source_partition=partition,
        source_offset=offset,
    )


def _digest(origin: str, place: str, reason: str, body: bytes) -> str:
    digest = hashlib.sha256()
    for part in (origin.encode(), place.encode(), reason.encode(), body):
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()[:32]


def _as_text(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = AS_BASE64 + base64.b64encode(body).decode()
    return text[:MAX_BODY_CHARS]
