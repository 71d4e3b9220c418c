"""A client of the front door that sends batches without a pause and remembers what became of each event."""

import asyncio
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence

from deployments.load.connection import Answer, Connection, ConnectionLost, request_head
from tests.faults.ledger import Fate
from tests.faults.waiting import wait_until

LONGEST_PAUSE_S = 0.5
ANSWER_S = 40.0


class HttpLedger:
    """Connections on a thread of its own, to whichever of the doors answers; each has its own users.

    A batch without an acknowledgement is sent again with the same ids, as the contract asks of a client, until it is
    answered or the ledger is told to finish. `sent` counts the copies of an id, `fate` has the best news of it:
    refused by the door, acknowledged, or unknown. Ids are `<user>-<number>`, a user's numbers ascending.
    """

    def __init__(
        self, ports: Sequence[int], seed: int, *, connections: int = 4, batch: int = 20, rate: int = 60,
        invalid: float = 0.02,
    ) -> None:  # fmt: skip
        """`rate` is batches a second over all connections, `invalid` the share of events that break the contract."""
        self.sent: Counter[str] = Counter()
        self.fate: dict[str, Fate] = {}
        self.answers: Counter[int] = Counter()
        self.lost_connections = 0
        self.without_retry_after = 0
        self._ports = list(ports)
        self._random = random.Random(seed)  # noqa: S311 - the seed repeats the run
        self._connections = connections
        self._batch = batch
        self._pause_s = connections / rate
        self._invalid = invalid
        self._numbers: Counter[str] = Counter()
        self._stop = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="http-ledger", daemon=True)

    def start(self) -> "HttpLedger":
        """Begin to send; returns itself."""
        self._thread.start()
        return self

    def finish(self) -> None:
        """Stop sending; what has no answer by now stays unknown."""
        self._stop.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def ids(self, *fates: Fate) -> set[str]:
        """The event ids with one of these fates."""
        return {event_id for event_id, fate in self.fate.copy().items() if fate in fates}

    def wait_acknowledged(self, count: int, seconds: float = 30) -> float:
        """Wait until so many more events than now are acknowledged; returns how long it took."""
        enough = len(self.ids(Fate.ACKNOWLEDGED)) + count
        return wait_until(
            lambda: len(self.ids(Fate.ACKNOWLEDGED)) >= enough or not self._thread.is_alive(),
            lambda: f"{count} more acknowledged; answers so far {dict(self.answers)}",
            seconds,
        )

    def _run(self) -> None:
        async def all_of_them() -> None:
            await asyncio.gather(*(self._send_from(number) for number in range(self._connections)))

        try:
            asyncio.run(all_of_them())
        except BaseException as error:
            self._failure = error

    async def _send_from(self, number: int) -> None:
        ports = itertools.cycle(self._ports[number % len(self._ports) :] + self._ports[: number % len(self._ports)])
        port, connection = next(ports), None
        while not self._stop.is_set():
            began = time.monotonic()
            ids, body = self._next_batch(number)
            while True:
                for event_id in ids:
                    self.sent[event_id] += 1
                    self.fate.setdefault(event_id, Fate.UNKNOWN)
                connection, answer = await self._post(connection, port, body)
                if answer is not None and answer.status in (202, 207, 422):
                    self._note(ids, answer)
                    break
                if self._stop.is_set():
                    return
                if answer is None:
                    port = next(ports)
                pause_s = LONGEST_PAUSE_S if answer is None or answer.retry_after_s is None else answer.retry_after_s
                await asyncio.sleep(min(pause_s, LONGEST_PAUSE_S))
            await asyncio.sleep(max(0.0, self._pause_s - (time.monotonic() - began)))

    async def _post(
        self, connection: Connection | None, port: int, body: bytes
    ) -> tuple[Connection | None, Answer | None]:
        try:
            if connection is None:
                connection = await Connection.to("127.0.0.1", port)
            headers = {"Content-Type": "application/x-ndjson"}
            head = request_head("POST", "/v1/events", f"127.0.0.1:{port}", headers, len(body))
            async with asyncio.timeout(ANSWER_S):
                answer = await connection.request(head, body)
        except (ConnectionLost, TimeoutError, OSError):
            self.lost_connections += 1
            if connection is not None:
                connection.close()
            return None, None
        self.answers[answer.status] += 1
        if answer.status in (429, 503) and answer.retry_after_s is None:
            self.without_retry_after += 1
        return connection, answer

    def _next_batch(self, number: int) -> tuple[list[str], bytes]:
        ids, lines = [], []
        for _ in range(self._batch):
            user = f"c{number}u{self._random.randrange(20)}"
            self._numbers[user] += 1
            event_id = f"{user}-{self._numbers[user]}"
            payload = {"path": "/"} if self._random.random() >= self._invalid else "not an object"
            event = {"event_id": event_id, "event_name": "page_view", "user_id": user, "source_service": "faults",
                     "payload": payload}  # fmt: skip
            ids.append(event_id)
            lines.append(json.dumps(event))
        return ids, "\n".join(lines).encode()

    def _note(self, ids: Sequence[str], answer: Answer) -> None:
        document = json.loads(answer.body)
        refusals = document["data"]["refusals"] if answer.status != 422 else document["refusals"]
        refused = {refusal["index"] for refusal in refusals}
        for index, event_id in enumerate(ids):
            self.fate[event_id] = Fate.REFUSED if index in refused else Fate.ACKNOWLEDGED
