"""A client that writes events to the log without a pause and remembers what became of each."""

import datetime as dt
import enum
import random
import threading
import time
from collections import Counter
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from platform_assets.contracts.events import encode_event, partition_key
from platform_assets.contracts.payloads import PURCHASE_LINE
from platform_assets.contracts.topics import EVENTS
from tests.faults.waiting import wait_until
from tests.streaming_records import an_event

POISON = b"\xff{not an event"


class Fate(enum.Enum):
    """What the client knows of an event that it sent."""

    ACKNOWLEDGED = "acknowledged"
    REFUSED = "refused"  # never left the client: certainly not in the log
    UNKNOWN = "unknown"  # time-out or a lost connection: it may be in the log or not


class Ledger:
    """One producing thread. `sent` counts the copies of each event id; `fate` has the best news of any copy.

    Ids are `<user>-<number>`, the numbers of a user ascending, so that order per key can be read off the log. Shares
    of duplicates (an earlier event again, as a client that retries sends it) and of poison are out of all records.
    """

    def __init__(
        self,
        address: str,
        seed: int,
        *,
        rate: int = 2000,
        users: int = 97,
        duplicates: float = 0.0,
        poison: float = 0.0,
        delivery_timeout_s: float = 20.0,
    ) -> None:
        self.address = address
        self.sent: Counter[str] = Counter()
        self.fate: dict[str, Fate] = {}
        self.poison_acknowledged = 0
        self.poison_unknown = 0
        self._random = random.Random(seed)  # noqa: S311 - the seed repeats the run
        self._rate = rate
        self._users = users
        self._duplicates = duplicates
        self._poison = poison
        self._delivery_timeout_s = delivery_timeout_s
        self._numbers: Counter[str] = Counter()
        self._recent: list[tuple[str, bytes, bytes]] = []
        self._made = 0
        self._clock = dt.datetime.now(dt.UTC) - dt.timedelta(days=30)
        self._ends: dict[int, int] = {}
        self._stop = threading.Event()
        self._producer = self._connect()
        self._thread: threading.Thread | None = None

    def _connect(self) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.address,
                "enable.idempotence": True,
                # The embedded broker lists every batch of a partition at each fetch: with 5 ms, reading again from the
                # start took it a minute after eight rounds.
                "linger.ms": 50,
                "compression.type": "lz4",
                "partitioner": "murmur2_random",
                "delivery.timeout.ms": int(self._delivery_timeout_s * 1000),
                "reconnect.backoff.ms": 100,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            }
        )

    def start(self) -> "Ledger":
        """Begin to send; returns itself once every partition has events, so that there is something to recover."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()
        wait_until(lambda: len(self._ends) == EVENTS.partitions, "events acknowledged in every partition", 30)
        return self

    def pause(self) -> None:
        """Stop sending and wait for the news of everything that is under way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._settle()

    def send(self, count: int) -> None:
        """Send so many records now, as fast as they go."""
        for _ in range(count):
            self._send_one()
        self._settle()

    def finish(self) -> dict[int, int]:
        """Stop, then append one event of this minute to every partition: returns the end of its log, exactly.

        The embedded broker cannot be asked for it; an acknowledged offset is right on any broker. All windows before
        that event end, its own only when the partition has been idle for a minute.
        """
        self.pause()
        self._ends = {}
        minute = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0)
        for partition in range(EVENTS.partitions):
            self._produce(*self._new_event(f"last{partition}", minute), partition=partition)
        self._settle()
        assert sorted(self._ends) == list(range(EVENTS.partitions)), "the closing events were not acknowledged"
        return dict(self._ends)

    def abandon(self) -> None:
        """The broker has died and forgets: stop, take what is under way as unknown, and begin with a new log."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._producer.purge()
        self._settle()
        self._ends = {}
        self._producer = self._connect()

    @property
    def ends(self) -> dict[int, int]:
        """By partition, the offset after the last acknowledged record of this log."""
        return dict(self._ends)

    def ids(self, *fates: Fate) -> set[str]:
        """The event ids with one of these fates."""
        return {event_id for event_id, fate in self.fate.copy().items() if fate in fates}

    @property
    def records_acknowledged(self) -> int:
        """Records of this log that the broker has, at least."""
        return sum(self._ends.values())

    def wait_acknowledged(self, count: int, seconds: float = 30) -> None:
        """Wait until so many more records than now are in the log: the broker takes events again."""
        enough = self.records_acknowledged + count
        wait_until(lambda: self.records_acknowledged >= enough, f"{count} more events acknowledged", seconds)

    def _run(self) -> None:
        begun, made = time.monotonic(), 0
        while not self._stop.is_set():
            due = int((time.monotonic() - begun) * self._rate)
            for _ in range(min(due - made, 500)):
                self._send_one()
                made += 1
            self._producer.poll(0.01)

    def _send_one(self) -> None:
        choice = self._random.random()
        if choice < self._poison:
            self._produce("", f"poison{self._random.randrange(self._users)}".encode(), POISON)
        elif choice < self._poison + self._duplicates and self._recent:
            self._produce(*self._random.choice(self._recent))
        else:
            self._produce(*self._new_event(f"u{self._random.randrange(self._users)}"))

    def _new_event(self, user: str, occurred_at: dt.datetime | None = None) -> tuple[str, bytes, bytes]:
        self._numbers[user] += 1
        name, payload = self._content()
        event = an_event(
            f"{user}-{self._numbers[user]}",
            user_id=user,
            event_name=name,
            occurred_at=occurred_at or self._occurred_at(),
            received_at=dt.datetime.now(dt.UTC),
            payload=payload,
        )
        made = (event.event_id, partition_key(event), encode_event(event))
        self._recent = [*self._recent[-199:], made] if self._duplicates else []
        return made

    def _content(self) -> tuple[str, dict[str, Any]]:
        """Whole numbers: sums of them are exact in any order."""
        sales = float(self._random.randrange(1000))
        if self._random.random() < 0.5:
            return "page_view", {"sales_value": sales}
        nothing = {"retail_disc": 0.0, "coupon_disc": 0.0, "coupon_match_disc": 0.0}
        store = f"s{self._random.randrange(20)}"
        return PURCHASE_LINE, {
            "basket_id": "b", "product_id": "p", "store_id": store, "quantity": 1, "sales_value": sales, **nothing
        }  # fmt: skip

    def _occurred_at(self) -> dt.datetime:
        """Event time: 30 ms an event, 45 minutes at once every 4,000; out of order by 90 s, one in a hundred by 2 h."""
        self._made += 1
        if self._made % 4000 == 0:
            self._clock += dt.timedelta(minutes=45)
        self._clock += dt.timedelta(milliseconds=30)
        behind_s = 7200.0 if self._random.random() < 0.01 else 90.0
        return self._clock - dt.timedelta(seconds=self._random.random() * behind_s)

    def _produce(self, event_id: str, key: bytes, value: bytes, *, partition: int = -1) -> None:
        """An empty id is poison."""
        if event_id:
            self.sent[event_id] += 1
            self.fate.setdefault(event_id, Fate.UNKNOWN)

        def report(error: KafkaError | None, message: Message) -> None:
            offset, place = message.offset(), message.partition()
            # Of a record that is in the log by an earlier attempt the broker may not say where.
            if error is None and offset is not None and place is not None:
                self._ends[place] = max(self._ends.get(place, 0), offset + 1)
            if event_id and error is None:
                self.fate[event_id] = Fate.ACKNOWLEDGED
            elif not event_id:
                self.poison_acknowledged += error is None
                self.poison_unknown += error is not None

        try:
            self._producer.produce(EVENTS.name, value, key, partition, on_delivery=report)
        except (BufferError, KafkaException):
            # The client's queue is full, or its producer is refused for good: nothing of this record left.
            if event_id and self.sent[event_id] == 1:
                self.fate[event_id] = Fate.REFUSED
            self._producer.poll(0.05)

    def _settle(self) -> None:
        try:
            remaining = self._producer.flush(self._delivery_timeout_s + 10)
        except KafkaException:
            self._producer.purge()
            remaining = self._producer.flush(5)
        assert not remaining, f"{remaining} records without any news"
