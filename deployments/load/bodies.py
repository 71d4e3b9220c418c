"""What the load generator sends: batches of events whose ids follow from their numbers."""

import datetime as dt
import uuid
from dataclasses import dataclass, field

USERS = 5_000
VALUES = 180
NDJSON = "application/x-ndjson"
JSON = "application/json"


def a_run() -> str:
    """24 characters that begin every event id of a run."""
    return str(uuid.uuid4())[:24]


@dataclass
class Bodies:
    """Makes the bodies of one run, each of `batch` events, numbered on from 0.

    An event is about 230 bytes as a client sends it. `media_type` is NDJSON, or a JSON array for servers that know
    nothing else.
    """

    run: str
    batch: int = 100
    media_type: str = NDJSON
    made: int = field(default=0, init=False)

    def next(self) -> bytes:
        """The next body; `made` counts its events."""
        first = self.made
        self.made += self.batch
        now = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds")
        run = self.run
        lines = [
            f'{{"event_id":"{run}{number:012d}","event_name":"page_viewed","event_type":"user_action",'
            f'"user_id":"user-{number * 7919 % USERS}","occurred_at":"{now}","source_service":"web",'
            f'"payload":{{"path":"/products/{number % 997}","value":{number % VALUES}.5}}}}'
            for number in range(first, first + self.batch)
        ]
        if self.media_type == JSON:
            return ("[" + ",".join(lines) + "]").encode()
        return "\n".join(lines).encode()
