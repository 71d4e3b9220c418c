"""Stock Faust: an agent and a tumbling-window table with its changelog, as Faust's own documentation has it."""

import datetime as dt
from typing import Any

import faust
from job import WINDOW, Clock, parse_arguments, write_result  # type: ignore[import-not-found]


class Event(faust.Record, serializer="json"):
    """The fields of an event that the job reads."""

    user_id: str
    occurred_at: str
    payload: dict[str, Any]


def main() -> None:
    """Count until every event is in the table, then write what it holds; runs on until it is ended."""
    arguments = parse_arguments()
    app: Any = faust.App(
        arguments.group,
        broker=f"kafka://{arguments.bootstrap}",
        store="memory://",
        datadir=arguments.folder / "faust",
        # At Faust's default of 60 s the embedded broker hands out partitions only after half a minute.
        broker_session_timeout=6.0,
        broker_heartbeat_interval=1.0,
        topic_partitions=arguments.partitions,
        topic_replication_factor=1,
        web_enabled=False,
    )
    # One table of pairs: two tables, one per aggregate, would cost Faust twice.
    table = app.Table("activity", default=lambda: [0, 0.0], partitions=arguments.partitions)
    windowed = table.tumbling(WINDOW, expires=dt.timedelta(days=1)).relative_to_field(Event.occurred_at)
    clock, taken = Clock(), 0

    async def count(events: Any) -> None:
        nonlocal taken
        async for event in events:
            counted, total = windowed[event.user_id].value()
            windowed[event.user_id] = [counted + 1, total + event.payload["sales_value"]]
            clock.tick()
            taken += 1
            if taken == arguments.events:
                windows = {(user, int(window[0] * 1000)): pair for (user, window), pair in table.items()}
                write_result(arguments.output, clock, windows, ["faust-streaming"])

    app.agent(app.topic(arguments.topic, value_type=Event))(count)
    faust.Worker(app, loglevel="warn").execute_from_commandline()


if __name__ == "__main__":
    main()
