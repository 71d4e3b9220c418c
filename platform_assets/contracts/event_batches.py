"""Decodes the events of a request together.

`decode_new_event` alone says what a good event is and why another is not. The way in bulk accepts a batch only if each
of its events is good, by the same rules checked more cheaply: the characters of all ids at once, each name once, the
colons of all events at once (see `duplicate_keys`). It knows no reasons; what it does not accept is judged one by one.
Measured on batches of 100 events of 290 bytes, in one run: 1.5 µs an event, where one by one takes 4.5.
"""

import datetime as dt
import re
import string
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from platform_assets.contracts.duplicate_keys import duplicate_key, keep_their_colons
from platform_assets.contracts.events import (
    EARLIEST,
    LATEST,
    MAX_EVENT_BYTES,
    NAME_PATTERN,
    InvalidEvent,
    NewEvent,
    check_payload,
    decode_new_event,
)

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_ID_CHARACTERS = (string.ascii_letters + string.digits + "._:@/+=-").encode()
_NAME = re.compile(NAME_PATTERN)


class _Unchecked(NewEvent, kw_only=True):
    # The patterns of a NewEvent cost more than all else about it.
    event_name: _Text
    payload: dict[str, Any]
    source_service: _Text
    event_id: _Text | None = None
    user_id: _Text | None = None
    session_id: _Text | None = None


_decoder = msgspec.json.Decoder(_Unchecked)


def decode_new_events(bodies: Sequence[bytes]) -> list[NewEvent | InvalidEvent]:
    """What `decode_new_event` makes of each body, in their order: the event, or why it is none."""
    together = _decode_together(bodies)
    return list(together) if together is not None else [_decode_alone(body) for body in bodies]


def _decode_alone(body: bytes) -> NewEvent | InvalidEvent:
    try:
        return decode_new_event(body)
    except InvalidEvent as error:
        return error


def _decode_together(bodies: Sequence[bytes]) -> Sequence[NewEvent] | None:
    """The events, if all are good; None leaves it open."""
    if not bodies or max(map(len, bodies)) > MAX_EVENT_BYTES:
        return None
    try:
        events = [_decoder.decode(body) for body in bodies]
        for event in events:
            check_payload(event.event_name, event.payload)
        are_good = _have_good_names(events) and _have_good_times(events) and _have_each_key_once(bodies, events)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        return None
    return events if are_good else None


def _have_good_names(events: Sequence[_Unchecked]) -> bool:
    names = {event.event_name for event in events} | {event.source_service for event in events}
    ids = [one for event in events for one in (event.event_id, event.user_id, event.session_id) if one is not None]
    return all(map(_NAME.match, names)) and not "".join(ids).encode().translate(None, _ID_CHARACTERS)


def _have_good_times(events: Sequence[_Unchecked]) -> bool:
    times = [event.occurred_at for event in events if event.occurred_at is not None]
    return not times or EARLIEST <= min(times) <= max(times) < LATEST


def _have_each_key_once(bodies: Sequence[bytes], events: Sequence[_Unchecked]) -> bool:
    # As for one event: a time in another zone may be written with one colon more than it was sent with.
    zones = {event.occurred_at.tzinfo for event in events if event.occurred_at is not None}
    if zones <= {dt.UTC} and keep_their_colons(bodies, events):
        return True
    return all(duplicate_key(body) is None for body in bodies)
