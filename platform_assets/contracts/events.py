"""The event envelope: one record per thing that happened, as it travels from the door to the warehouse.

A client sends a `NewEvent`. The door stamps it with the server's time and the request's correlation id and puts an
`Event` on the log. Both are JSON; a payload whose event name has a contract (see `payloads`) is checked against it,
any other payload only has to be a JSON object.
"""

import datetime as dt
import enum
import uuid
from typing import Annotated, Any

import msgspec

from platform_assets.contracts.duplicate_keys import duplicate_key, keeps_its_colons
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS

SCHEMA_VERSION = 1
MAX_EVENT_BYTES = 100_000
MAX_NESTING = 32
# What every engine behind the log can hold as a timestamp in microseconds, in any of its time zones.
EARLIEST = dt.datetime(1900, 1, 1, tzinfo=dt.UTC)
LATEST = dt.datetime(2200, 1, 1, tzinfo=dt.UTC)

Identifier = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9._:@/+=-]+\Z")]
NAME_PATTERN = r"^[A-Za-z][A-Za-z0-9_.-]*\Z"
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=NAME_PATTERN)]
Traceparent = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}\Z")]
AwareDatetime = Annotated[dt.datetime, msgspec.Meta(tz=True)]


class EventType(enum.StrEnum):
    """The coarse kind of an event; `event_name` says what happened exactly."""

    USER_ACTION = "user_action"
    TRANSACTION = "transaction"
    SYSTEM = "system"
    METRIC = "metric"
    ERROR = "error"
    CUSTOM = "custom"


class InvalidEvent(ValueError):
    """An event that breaks the contract. `str()` is the reason, safe to show to the sender."""

    def __init__(self, reason: str, event_id: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.event_id = event_id


class NewEvent(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a client may send. Times are ISO 8601 with an offset; an absent id is minted by the door."""

    event_name: Name
    payload: dict[str, Any]
    source_service: Name
    event_type: EventType = EventType.CUSTOM
    event_id: Identifier | None = None
    user_id: Identifier | None = None
    session_id: Identifier | None = None
    occurred_at: AwareDatetime | None = None
    schema_version: Annotated[int, msgspec.Meta(ge=1, le=SCHEMA_VERSION)] = SCHEMA_VERSION
    correlation_id: Identifier | None = None
    traceparent: Traceparent | None = None


class Event(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, frozen=True):
    """One accepted event, as it stands on the log: every field present, absent values null."""

    event_id: Identifier
    event_type: EventType
    event_name: Name
    user_id: Identifier | None
    session_id: Identifier | None
    occurred_at: AwareDatetime
    received_at: AwareDatetime
    source_service: Name
    schema_version: Annotated[int, msgspec.Meta(ge=1, le=SCHEMA_VERSION)]
    correlation_id: Identifier | None
    traceparent: Traceparent | None
    payload: dict[str, Any]


class _NamedId(msgspec.Struct):
    event_id: Any


ENVELOPE_FIELDS: tuple[str, ...] = tuple(field.name for field in msgspec.structs.fields(Event))

_new_event_decoder = msgspec.json.Decoder(NewEvent)
_event_decoder = msgspec.json.Decoder(Event)
_payload_decoder = msgspec.json.Decoder(dict[str, Any])
_encoder = msgspec.json.Encoder()
_named_id = msgspec.json.Decoder(_NamedId)


def decode_new_event(body: bytes) -> NewEvent:
    """Decode and check what a client sent.

    Raises:
        InvalidEvent: not JSON, a key twice in one object, an envelope field wrong or unknown, or a payload that breaks
            its contract.
    """
    _check_size(body)
    try:
        event = _new_event_decoder.decode(body)
        if event.occurred_at is not None:
            _check_time("occurred_at", event.occurred_at)
        check_payload(event.event_name, event.payload)
        _check_keys(body, event)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent(_reason(error), event_id_of(body)) from None
    return event


def decode_event(value: bytes) -> Event:
    """Decode and check a record of the events topic.

    Raises:
        InvalidEvent: as for `decode_new_event`; other producers than the door may write to the log too, and whoever
            reads a record whose key stands twice may take the other value.
    """
    _check_size(value)
    try:
        event = _event_decoder.decode(value)
        _check_time("occurred_at", event.occurred_at)
        _check_time("received_at", event.received_at)
        check_payload(event.event_name, event.payload)
        _check_keys(value, event)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent(_reason(error), event_id_of(value)) from None
    return event


def decode_payload(event_name: str, text: bytes) -> dict[str, Any]:
    """Decode and check the text of a payload alone, as landing files and the warehouse hold it.

    Raises:
        InvalidEvent: as for `decode_new_event`.
    """
    try:
        payload = _payload_decoder.decode(text)
        check_payload(event_name, payload)
        if not keeps_its_colons(text, payload):
            _refuse_duplicate_key(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise InvalidEvent(_reason(error)) from None
    return payload


def check_payload(event_name: str, payload: dict[str, Any]) -> None:
    """Check a payload against the contract of its event name, where there is one.

    Raises:
        msgspec.ValidationError: naming the field and what is wrong with it.
    """
    contract = PAYLOAD_CONTRACTS.get(event_name)
    if contract is not None:
        try:
            msgspec.convert(payload, contract)
        except msgspec.ValidationError as error:
            raise msgspec.ValidationError(str(error).replace("`$", "`$.payload")) from None
    elif _deeper_than(payload, MAX_NESTING):
        raise msgspec.ValidationError(f"The payload nests deeper than {MAX_NESTING} levels")


def accept(new: NewEvent, *, received_at: dt.datetime, correlation_id: str) -> Event:
    """Stamp a checked event with the server's time; what the client left out is filled in here."""
    return Event(
        event_id=new.event_id or str(uuid.uuid4()),
        event_type=new.event_type,
        event_name=new.event_name,
        user_id=new.user_id,
        session_id=new.session_id,
        occurred_at=new.occurred_at or received_at,
        received_at=received_at,
        source_service=new.source_service,
        schema_version=new.schema_version,
        correlation_id=new.correlation_id or correlation_id,
        traceparent=new.traceparent,
        payload=new.payload,
    )


def encode_event(event: Event) -> bytes:
    """The bytes of the record on the events topic."""
    return _encoder.encode(event)


def encode_payload(payload: dict[str, Any]) -> str:
    """A payload as the JSON text that landing files and the warehouse hold."""
    return _encoder.encode(payload).decode()


def event_id_of(body: bytes) -> str | None:
    """The event id that an otherwise broken body names, if it names a usable one."""
    try:
        candidate = _named_id.decode(body).event_id
        return msgspec.convert(candidate, Identifier)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None


def partition_key(event: Event) -> bytes:
    """One user's events stay in order on one partition: user_id, else session_id, else event_id."""
    return (event.user_id or event.session_id or event.event_id).encode()


def _check_size(body: bytes) -> None:
    if len(body) > MAX_EVENT_BYTES:
        raise InvalidEvent(f"An event may have at most {MAX_EVENT_BYTES:,} bytes; this one has {len(body):,}")


def _check_time(field: str, value: dt.datetime) -> None:
    if not EARLIEST <= value < LATEST:
        raise msgspec.ValidationError(f"Expected a time from {EARLIEST.year} to {LATEST.year - 1} - at `$.{field}`")


def _check_keys(body: bytes, event: NewEvent | Event) -> None:
    # A time in UTC is written with two colons, in any other zone with one more than some clients wrote: then the
    # counts say nothing. They differ too where a client sends what is the default anyway.
    received_at = event.received_at if isinstance(event, Event) else None
    in_utc = all(time is None or time.tzinfo is dt.UTC for time in (event.occurred_at, received_at))
    if not (in_utc and keeps_its_colons(body, event)):
        _refuse_duplicate_key(body)


def _refuse_duplicate_key(text: bytes) -> None:
    key = duplicate_key(text)
    if key is not None:
        raise msgspec.ValidationError(f"The key {_encoder.encode(key).decode()} stands twice in one object")


def _reason(error: Exception) -> str:
    return "The JSON nests too deeply" if isinstance(error, RecursionError) else str(error)


def _deeper_than(value: dict[str, Any] | list[Any], levels: int) -> bool:
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, dict | list) and (levels == 0 or _deeper_than(item, levels - 1)):
            return True
    return False
