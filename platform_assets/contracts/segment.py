"""The calls of the Segment spec as events of our own contract, so that its client libraries can point here.

| Call | event_name | payload |
|---|---|---|
| track | `event`, as in `Order Completed` → `order_completed` | `properties` |
| page, screen | `page`, `screen` | `properties`, with `name` and `category` |
| identify | `identify` | `traits` |
| group | `group` | `traits`, `group_id` |
| alias | `alias` | `previous_id` |

`messageId` becomes event_id, `userId` user_id, `anonymousId` session_id, the library's name source_service. What the
spec has beyond that (the event's own name, context, integrations) stands in the payload under `segment`; the payload
of a name that has a contract is the properties alone. `timestamp` is moved by what `sentAt` shows of the sender's
clock, always, as the spec says: timestamp + (received - sentAt).
"""

import datetime as dt
import enum
import re
from typing import Any

import msgspec

from platform_assets.contracts.duplicate_keys import duplicate_key
from platform_assets.contracts.events import EventType, InvalidEvent, event_id_of
from platform_assets.contracts.payloads import PAYLOAD_CONTRACTS

DEFAULT_SOURCE = "segment"
RESERVED_KEY = "segment"

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")
# orderCompleted is two words.
_WORD_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


class Call(enum.StrEnum):
    """What a client library can call."""

    TRACK = "track"
    IDENTIFY = "identify"
    PAGE = "page"
    SCREEN = "screen"
    GROUP = "group"
    ALIAS = "alias"


_EVENT_TYPES = {Call.TRACK: EventType.USER_ACTION, Call.PAGE: EventType.USER_ACTION, Call.SCREEN: EventType.USER_ACTION}


class SegmentMessage(msgspec.Struct, kw_only=True, rename="camel"):
    """One call's body. Fields that are not named here, as the libraries add some, are passed over."""

    type: str | None = None
    message_id: str | None = None
    user_id: str | int | None = None
    anonymous_id: str | int | None = None
    timestamp: dt.datetime | None = None
    sent_at: dt.datetime | None = None
    event: str | None = None
    name: str | None = None
    category: str | None = None
    properties: dict[str, Any] | None = None
    traits: dict[str, Any] | None = None
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None
    group_id: str | int | None = None
    previous_id: str | int | None = None


class SegmentBatch(msgspec.Struct, kw_only=True, rename="camel"):
    """Several calls' bodies, undecoded, with what holds for all of them."""

    batch: list[msgspec.Raw]
    sent_at: dt.datetime | None = None
    context: dict[str, Any] | None = None
    integrations: dict[str, Any] | None = None


_message_decoder = msgspec.json.Decoder(SegmentMessage)
_batch_decoder = msgspec.json.Decoder(SegmentBatch)
_encoder = msgspec.json.Encoder()


def decode_batch(body: bytes) -> SegmentBatch:
    """Take a batch apart. Raises InvalidEvent where it is not one."""
    try:
        return _batch_decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent(_reason(error)) from None


def to_new_event(
    body: bytes, call: Call | None, received_at: dt.datetime, *, whole: SegmentBatch | None = None
) -> bytes:
    """The JSON of the new event that a call's body is, to be checked as any other.

    `call` is what the address says; in a batch each message names its own. The event id is left out where the message
    has none.

    Raises:
        InvalidEvent: it is not such a body.
    """
    try:
        message = _message_decoder.decode(body)
        key = duplicate_key(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidEvent(_reason(error)) from None
    if key is not None:
        raise InvalidEvent(f"The key {_encoder.encode(key).decode()} stands twice in one object", _usable_id(message))
    try:
        event = _map(message, call or _call(message), received_at, whole or SegmentBatch(batch=[]))
    except ValueError as error:
        raise InvalidEvent(str(error), _usable_id(message)) from None
    return _encoder.encode({name: value for name, value in event.items() if value is not None})


def _map(message: SegmentMessage, call: Call, received_at: dt.datetime, whole: SegmentBatch) -> dict[str, Any]:
    if not message.user_id and not message.anonymous_id:
        raise ValueError("A call needs a userId or an anonymousId")
    context = {**(whole.context or {}), **(message.context or {})}
    event_name = _event_name(message) if call is Call.TRACK else call.value
    return {
        "event_id": message.message_id,
        "event_type": _EVENT_TYPES.get(call, EventType.CUSTOM),
        "event_name": event_name,
        "user_id": _text(message.user_id),
        "session_id": _text(message.anonymous_id),
        "occurred_at": _time(message.timestamp, message.sent_at or whole.sent_at, received_at),
        "source_service": _source(context),
        "payload": _payload(message, call, event_name, context, whole.integrations),
    }


def _call(message: SegmentMessage) -> Call:
    if message.type not in set(Call):
        raise ValueError(f"A message of a batch needs a type, one of {', '.join(Call)}")
    return Call(message.type)


def _event_name(message: SegmentMessage) -> str:
    words = _NOT_IN_A_NAME.sub("_", _WORD_BOUNDARY.sub("_", message.event or "")).strip("_").lower()
    if not words or not words[0].isalpha():
        raise ValueError("A track call needs an event whose name begins with a letter from a to z")
    return words


def _source(context: dict[str, Any]) -> str:
    library = context.get("library")
    name = library.get("name") if isinstance(library, dict) else None
    words = _NOT_IN_A_NAME.sub("_", name).strip("_") if isinstance(name, str) else ""
    return words if words[:1].isalpha() else DEFAULT_SOURCE


def _payload(
    message: SegmentMessage, call: Call, event_name: str, context: dict[str, Any], integrations: dict[str, Any] | None
) -> dict[str, Any]:
    said = message.traits if call in {Call.IDENTIFY, Call.GROUP} else message.properties
    payload = dict(said or {})
    if event_name in PAYLOAD_CONTRACTS:
        return payload
    if RESERVED_KEY in payload:
        raise ValueError(f"The key {RESERVED_KEY} is reserved for what the Segment spec has beside the properties")
    if call in {Call.PAGE, Call.SCREEN}:
        payload |= {key: value for key, value in (("name", message.name), ("category", message.category)) if value}
    if call is Call.GROUP:
        payload["group_id"] = _text(message.group_id)
    if call is Call.ALIAS:
        payload["previous_id"] = _text(message.previous_id)
    beside = {
        "event": message.event,
        "context": context,
        "integrations": {**(integrations or {}), **(message.integrations or {})},
    }
    if kept := {key: value for key, value in beside.items() if value}:
        payload[RESERVED_KEY] = kept
    return payload


def _time(timestamp: dt.datetime | None, sent_at: dt.datetime | None, received_at: dt.datetime) -> dt.datetime | None:
    if timestamp is None:
        return None
    if sent_at is None:
        return _aware(timestamp)
    try:
        return received_at - (_aware(sent_at) - _aware(timestamp))
    except OverflowError:
        raise ValueError("timestamp and sentAt lie too far apart") from None


def _aware(time: dt.datetime) -> dt.datetime:
    # Old libraries leave the zone out and mean UTC.
    return time if time.tzinfo is not None else time.replace(tzinfo=dt.UTC)


def _text(value: str | int | None) -> str | None:
    return None if value is None or value == "" else str(value)


def _usable_id(message: SegmentMessage) -> str | None:
    return event_id_of(_encoder.encode({"event_id": message.message_id}))


def _reason(error: Exception) -> str:
    return "The JSON nests too deeply" if isinstance(error, RecursionError) else str(error)
