"""Mends one rejected event and asks the contract whether it would pass now."""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from platform_assets.contracts.events import InvalidEvent, decode_new_event
from platform_assets.contracts.rejections import KnownRejection, Origin, replay_correlation_id
from platform_assets.repair.steps import Step, StepFailed, apply_steps

FaultOf = Callable[[str, dict[str, Any]], str | None]
"""Why an event of this name may not have this payload, by what is registered beside the contract; None where it may."""


@dataclass(frozen=True)
class Mended:
    """What a fix made of a rejection: a body for the door, or the reason why it still would not pass."""

    rejection: KnownRejection
    body: bytes | None = None
    day: dt.date | None = None
    """The UTC day on which the event happened."""
    failure: str | None = None


def mend(rejection: KnownRejection, steps: list[Step], fault_of: FaultOf = lambda name, payload: None) -> Mended:
    """Apply the steps; the body depends on nothing else, so a second replay sends the same bytes.

    The event gets the id under which the rejection is known: its own, or one made from its body or place on the log.
    One that does not say when it happened, happened when it was rejected, as the door would have said then.
    """
    try:
        document = apply_steps(rejection.body, steps)
    except StepFailed as error:
        return Mended(rejection, failure=str(error))
    if rejection.origin is Origin.STREAM:
        # A record that another producer wrote to the log has the server's time, which the door sets anew.
        document.pop("received_at", None)
    document["event_id"] = rejection.event_id
    document["correlation_id"] = replay_correlation_id(rejection.rejection_id)
    if document.get("occurred_at") is None:
        document["occurred_at"] = rejection.rejected_at.astimezone(dt.UTC).isoformat()
    try:
        body = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        event = decode_new_event(body)
    except (InvalidEvent, ValueError, TypeError, RecursionError) as error:
        return Mended(rejection, failure=str(error))
    if (fault := fault_of(event.event_name, event.payload)) is not None:
        return Mended(rejection, failure=fault)
    assert event.occurred_at is not None  # noqa: S101 - it has just been set
    return Mended(rejection, body=body, day=event.occurred_at.astimezone(dt.UTC).date())
