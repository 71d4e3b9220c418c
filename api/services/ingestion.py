"""Takes events in: checks each against the contract, and answers only once the log has every one of them.

Counting: each event of a request is either accepted, and then stands on `events.v1`, or refused, and then stands on
`events.rejected.v1` with its reason. Where the log did not acknowledge all of it, the request failed as a whole and
is to be sent again; later stages keep one record of each event id.
"""

import asyncio
import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from api.services.client_clock import ClientClock, ClockRule
from api.services.event_ids import EventIds, MintedIds
from api.services.event_log import EventLog
from platform_assets.contracts.event_batches import decode_new_events
from platform_assets.contracts.events import MAX_EVENT_BYTES, InvalidEvent, accept, encode_event, partition_key
from platform_assets.contracts.rejections import Rejection, encode_rejection, refuse_at_the_door
from platform_assets.contracts.topics import EVENTS, REJECTED
from resources.event_log.gate import IngestionGate
from resources.event_log.producer import Record
from resources.event_schemas.in_force import NO_SCHEMAS, SchemasInForce, microseconds_of
from resources.telemetry.tracing import step_span

# Bounds the memory of requests under way: their bodies, counted before they are read, and the records made of them.
MAX_HELD_BYTES = 64 * 2**20
# A broker takes messages of up to a megabyte. Control characters take six bytes in JSON, so a text that fits its own
# limit in characters can be over that; then this much of it is kept.
MAX_REJECTION_BYTES = 900_000
KEPT_BODY_CHARS = 100_000
# A reason may quote what was sent, a field's name say.
MAX_REASON_CHARS = 500


class IngestionPaused(RuntimeError):
    """The gate is closed; `str()` says why."""


class IngestionBusy(RuntimeError):
    """Too much waits for the broker already."""


@dataclass(frozen=True)
class Refused:
    """One refused event of a request."""

    index: int
    event_id: str
    reason: str


@dataclass
class Outcome:
    """What became of a request's events. `event_ids` are those of the accepted ones, in the request's order."""

    clock: ClientClock
    """What was made of the sender's times."""
    event_ids: list[str] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Sender:
    """What the door knows about all events of a request."""

    correlation_id: str
    traceparent: str | None = None
    ids: EventIds | None = None
    """For the events without an id; None mints random ones."""
    sent_at: dt.datetime | None = None
    """By the sender's own clock."""


class Ingestion:
    """The way of events from a request to the log. One per process."""

    def __init__(
        self,
        log: EventLog,
        gate: IngestionGate,
        rule: ClockRule | None = None,
        schemas: Callable[[], SchemasInForce] = lambda: NO_SCHEMAS,
    ) -> None:
        """`schemas` gives the event schemas as of now."""
        self._log = log
        self._gate = gate
        self._rule = rule or ClockRule()
        self._schemas = schemas
        self._held_bytes = 0
        self.in_flight = 0

    @contextlib.contextmanager
    def admitted(self, body_bytes: int = 0) -> Iterator[None]:
        """Holds a request's place; whoever closed the gate waits until `in_flight` is zero.

        `body_bytes` is the most that its body can take. Ask before the body is read: requests that wait for a slow
        broker each hold theirs.

        Raises:
            IngestionPaused: the gate is closed.
            IngestionBusy: requests under way hold too much already.
        """
        # Counted before the look at the gate: once it is closed and none is in flight, none can still come through.
        self.in_flight += 1
        try:
            if not self._gate.is_open():
                raise IngestionPaused(self._gate.reason() or "just now")
            with self._holding(body_bytes):
                yield
        finally:
            self.in_flight -= 1

    async def take(
        self, bodies: Sequence[bytes], sender: Sender, *, unusable: Mapping[int, InvalidEvent] | None = None
    ) -> Outcome:
        """Accept or refuse each event, and return when the log has acknowledged all records of both kinds.

        `unusable` are bodies, by place, that were found not to be events before they got here.

        Raises:
            LogUnavailable: it did not in time.
            IngestionBusy: too much waits for it already; nothing was appended.
        """
        with step_span("check events", events=len(bodies)) as span:
            outcome, events, rejections = self._check(bodies, sender, unusable or {})
            if span is not None:
                span.note(accepted=len(events), refused=len(rejections))
        with step_span("append to the log"):
            await self._append(events, rejections)
        return outcome

    def _check(
        self, bodies: Sequence[bytes], sender: Sender, known_bad: Mapping[int, InvalidEvent]
    ) -> tuple[Outcome, list[Record], list[Record]]:
        """The outcome, and the records of the accepted and of the refused events."""
        now = dt.datetime.now(dt.UTC)
        received_us, schemas = microseconds_of(now), self._schemas()
        clock = ClientClock(now, self._rule, sender.sent_at)
        ids = sender.ids or MintedIds(len(bodies))
        outcome = Outcome(clock)
        events: list[Record] = []
        rejections: list[Record] = []
        for index, decoded in enumerate(decode_new_events(bodies)):
            try:
                new = known_bad.get(index, decoded)
                if isinstance(new, InvalidEvent):
                    raise new
                if new.occurred_at is not None:
                    new.occurred_at = clock.read(new.occurred_at, new.event_id)
                if new.event_id is None:
                    new.event_id = ids.at(index)
                if new.traceparent is None:
                    new.traceparent = sender.traceparent
                event = accept(new, received_at=now, correlation_id=sender.correlation_id)
                if (fault := schemas.fault(event.event_name, event.payload, received_us)) is not None:
                    raise InvalidEvent(fault, event.event_id)
                value = encode_event(event)
                if len(value) > MAX_EVENT_BYTES:
                    raise InvalidEvent(
                        f"With the server's fields an event may have at most {MAX_EVENT_BYTES:,} bytes; "
                        f"this one has {len(value):,}",
                        event.event_id,
                    )
            except InvalidEvent as error:
                rejections.append(_refuse(outcome, index, bodies[index], error, sender))
            else:
                outcome.event_ids.append(event.event_id)
                events.append((partition_key(event), value))
        return outcome, events, rejections

    async def refuse_whole(self, body: bytes, sender: Sender, *, reason: str) -> Outcome:
        """Refuse a body that cannot be taken apart, as one event.

        Raises:
            LogUnavailable, IngestionBusy: as for `take`.
        """
        return await self.take([body], sender, unusable={0: InvalidEvent(reason)})

    async def _append(self, events: list[Record], rejections: list[Record]) -> None:
        size = sum(len(value) for _, value in events) + sum(len(value) for _, value in rejections)
        with self._holding(size):
            results = await asyncio.gather(
                self._log.append(EVENTS.name, events),
                self._log.append(REJECTED.name, rejections),
                return_exceptions=True,  # so that neither is abandoned half way
            )
        for result in results:
            if result is not None:
                raise result

    @contextlib.contextmanager
    def _holding(self, size: int) -> Iterator[None]:
        if self._held_bytes + size > MAX_HELD_BYTES:
            raise IngestionBusy(f"Requests under way hold {self._held_bytes:,} bytes already")
        self._held_bytes += size
        try:
            yield
        finally:
            self._held_bytes -= size


def _refuse(outcome: Outcome, index: int, body: bytes, error: InvalidEvent, sender: Sender) -> Record:
    rejection = refuse_at_the_door(
        body,
        reason=error.reason[:MAX_REASON_CHARS],
        event_id=error.event_id,
        rejected_at=outcome.clock.received_at,
        correlation_id=sender.correlation_id,
    )
    outcome.refused.append(Refused(index, rejection.event_id, rejection.reason))
    return rejection.event_id.encode(), _encode_bounded(rejection)


def _encode_bounded(rejection: Rejection) -> bytes:
    value = encode_rejection(rejection)
    if len(value) > MAX_REJECTION_BYTES:
        value = encode_rejection(msgspec.structs.replace(rejection, body=rejection.body[:KEPT_BODY_CHARS]))
    return value
