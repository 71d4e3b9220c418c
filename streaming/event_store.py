"""Makes events in process, under the same contract as the front door."""

import datetime as dt
import uuid
from typing import Any

import msgspec

from platform_assets.contracts.events import Event, EventType, InvalidEvent, accept, decode_new_event
from platform_assets.contracts.rejections import Rejection, refuse_at_the_door


class RefusedEvent(InvalidEvent):
    """An event that breaks the contract; `rejection` is its dead letter, ready for the rejected topic."""

    def __init__(self, error: InvalidEvent, rejection: Rejection) -> None:
        super().__init__(error.reason, error.event_id)
        self.rejection = rejection


class EventStore:
    """Creates events that are valid by construction.

    >>> event = EventStore().create_event(EventType.USER_ACTION, "page_view", {"page": "/"}, "web_app")
    >>> event.schema_version
    1
    """

    def create_event(
        self,
        event_type: EventType | str,
        event_name: str,
        payload: dict[str, Any],
        source_service: str,
        *,
        user_id: str | None = None,
        session_id: str | None = None,
        occurred_at: dt.datetime | None = None,
    ) -> Event:
        """An event with its id, times (UTC) and schema version set, exactly as it would stand on the log.

        Raises:
            RefusedEvent: a field or the payload breaks the contract; nothing was stored anywhere.
        """
        now = dt.datetime.now(dt.UTC)
        correlation_id = str(uuid.uuid4())
        given = {
            "event_type": event_type,
            "event_name": event_name,
            "payload": payload,
            "source_service": source_service,
            "user_id": user_id,
            "session_id": session_id,
            "occurred_at": occurred_at,
        }
        body = b""
        try:
            body = _as_json(given)
            return accept(decode_new_event(body), received_at=now, correlation_id=correlation_id)
        except InvalidEvent as error:
            rejection = refuse_at_the_door(
                body or repr(given).encode(errors="backslashreplace"),
                reason=error.reason,
                event_id=error.event_id,
                rejected_at=now,
                correlation_id=correlation_id,
            )
            raise RefusedEvent(error, rejection) from None


def _as_json(given: dict[str, Any]) -> bytes:
    try:
        return msgspec.json.encode(given)
    except (TypeError, ValueError, OverflowError, RecursionError, msgspec.MsgspecError) as error:
        raise InvalidEvent(f"The event cannot be written as JSON: {error}") from None
