"""Takes the bodies of the Segment spec's calls apart into new events, as bytes for `Ingestion.take`."""

import datetime as dt
from dataclasses import dataclass, field

from api.services.batches import TooManyEvents
from platform_assets.contracts.events import InvalidEvent
from platform_assets.contracts.segment import Call, decode_batch, to_new_event


@dataclass
class Calls:
    """The calls of one body in their order. `bodies` holds new events; where that could not be, the call as sent."""

    bodies: list[bytes] = field(default_factory=list)
    unusable: dict[int, InvalidEvent] = field(default_factory=dict)


def read_call(call: Call, body: bytes, received_at: dt.datetime) -> Calls:
    """The one call of a body."""
    calls = Calls()
    try:
        calls.bodies.append(to_new_event(body, call, received_at))
    except InvalidEvent as error:
        calls.bodies.append(body)
        calls.unusable[0] = error
    return calls


def read_batch(body: bytes, received_at: dt.datetime, *, max_events: int) -> Calls:
    """The calls of a batch; a body that is none counts as one unusable call.

    Raises:
        TooManyEvents: more than `max_events`.
    """
    calls = Calls()
    try:
        whole = decode_batch(body)
    except InvalidEvent as error:
        return Calls([body], {0: error})
    if len(whole.batch) > max_events:
        raise TooManyEvents(f"A request may carry at most {max_events:,} events; this one has {len(whole.batch):,}.")
    for index, raw in enumerate(whole.batch):
        message = bytes(raw)
        try:
            calls.bodies.append(to_new_event(message, None, received_at, whole=whole))
        except InvalidEvent as error:
            calls.bodies.append(message)
            calls.unusable[index] = error
    return calls
