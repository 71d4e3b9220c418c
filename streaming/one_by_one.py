"""Judges by the contract's own decoder and the registered schemas what `event_decoding` does not accept in bulk."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
import pyarrow as pa

from platform_assets.contracts.events import Event, InvalidEvent, decode_event, encode_payload
from resources.event_schemas.in_force import SchemasInForce
from streaming.event_columns import TEXT_FIELDS, EventColumns

NOT_DECODABLE = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
# Years 1 to 9999 in UTC: an offset can carry a readable time just out of what Python and SQL can say.
_FIRST_TIME = (dt.datetime.min.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND
_LAST_TIME = (dt.datetime.max.replace(tzinfo=dt.UTC) - _EPOCH) // _MICROSECOND


@dataclass(frozen=True)
class Refused:
    """A record that breaks the contract."""

    offset: int
    value: bytes | None
    reason: str
    event_id: str | None


def decode_one_by_one(
    records: Iterable[tuple[int, bytes | None]], schemas: SchemasInForce
) -> tuple[EventColumns, list[Refused]]:
    """The events among offsets and values, and what is wrong with the others; both in the records' order."""
    accepted: list[_Accepted] = []
    refused: list[Refused] = []
    for offset, value in records:
        try:
            accepted.append(_accepted(offset, value, schemas))
        except InvalidEvent as error:
            refused.append(Refused(offset, value, error.reason, error.event_id))
    return _columns_of(accepted), refused


@dataclass(frozen=True, slots=True)
class _Accepted:
    offset: int
    event: Event
    payload: bytes
    occurred_us: int
    received_us: int


def _accepted(offset: int, value: bytes | None, schemas: SchemasInForce) -> _Accepted:
    if value is None:
        raise InvalidEvent("The record has no value")
    event = decode_event(value)
    try:
        payload = encode_payload(event.payload).encode()
        accepted = _Accepted(offset, event, payload, microseconds(event.occurred_at), microseconds(event.received_at))
    except NOT_DECODABLE as error:
        raise InvalidEvent(str(error) or type(error).__name__, event.event_id) from None
    if (fault := schemas.fault(event.event_name, event.payload, accepted.received_us)) is not None:
        raise InvalidEvent(fault, event.event_id)
    return accepted


def _columns_of(accepted: list[_Accepted]) -> EventColumns:
    texts: dict[str, list[str | None]] = {name: [getattr(one.event, name) for one in accepted] for name in TEXT_FIELDS}
    texts["event_type"] = [one.event.event_type.value for one in accepted]
    return EventColumns(
        np.array([one.offset for one in accepted], np.int64),
        np.array([one.occurred_us for one in accepted], np.int64),
        np.array([one.received_us for one in accepted], np.int64),
        np.array([one.event.schema_version for one in accepted], np.int32),
        pa.array([one.payload for one in accepted], pa.binary()),
        {name: pa.array(values, pa.string()) for name, values in texts.items()},
    )


def microseconds(time: dt.datetime) -> int:
    """A time as microseconds since the epoch.

    Raises:
        ValueError: it has no offset, or is outside the years that Python and SQL can say in UTC.
    """
    if time.tzinfo is None:
        raise ValueError(f"The time {time.isoformat()} has no offset from UTC")
    since_epoch = (time - _EPOCH) // _MICROSECOND
    if not _FIRST_TIME <= since_epoch <= _LAST_TIME:
        raise ValueError(f"The time {time.isoformat()} is outside the years 1 to 9999 in UTC")
    return since_epoch
