"""Bytewax: fold_window over an event clock, one worker; the source ends at the end of the topic, which closes all."""

import datetime as dt
from typing import Any

import bytewax.operators as op
import orjson
from bytewax.connectors.kafka import KafkaSource
from bytewax.dataflow import Dataflow
from bytewax.operators.windowing import EventClock, TumblingWindower, fold_window
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import cluster_main
from job import EPOCH, WINDOW, Clock, parse_arguments, write_result  # type: ignore[import-not-found]

Event = tuple[dt.datetime, float]
State = tuple[int, float]

# Bytewax's watermark goes on with the system's clock while a partition waits its turn: at 0 s it called 4 % of the
# events late. The end of the source closes what is open.
PATIENCE = dt.timedelta(hours=1)


def main() -> None:
    """Take every event, write each window when it closes and end."""
    arguments = parse_arguments()
    clock = Clock()
    windows: dict[tuple[str, int], State] = {}

    def read(message: Any) -> tuple[str, Event]:
        clock.tick()
        event = orjson.loads(message.value)
        return event["user_id"], (dt.datetime.fromisoformat(event["occurred_at"]), event["payload"]["sales_value"])

    class Results(StatelessSinkPartition[Any]):  # type: ignore[misc]
        def write_batch(self, items: list[Any]) -> None:
            for user, (window, state) in items:
                windows[user, window * int(WINDOW.total_seconds()) * 1000] = state
            clock.tick()

    class Sink(DynamicSink[Any]):  # type: ignore[misc]
        def build(self, step_id: str, worker_index: int, worker_count: int) -> Results:
            return Results()

    flow = Dataflow("benchmark")
    source = KafkaSource([arguments.bootstrap], [arguments.topic], tail=False, batch_size=10_000)
    keyed = op.map("read", op.input("events", flow, source), read)
    folded = fold_window(
        "activity",
        keyed,
        EventClock(ts_getter=lambda event: event[0], wait_for_system_duration=PATIENCE),
        TumblingWindower(length=WINDOW, align_to=EPOCH),
        builder=lambda: (0, 0.0),
        folder=lambda state, event: (state[0] + 1, state[1] + event[1]),
        merger=lambda one, other: (one[0] + other[0], one[1] + other[1]),
        ordered=False,
    )
    op.output("results", folded.down, Sink())
    cluster_main(flow, [], 0)
    write_result(arguments.output, clock, windows, ["bytewax", "orjson"])


if __name__ == "__main__":
    main()
