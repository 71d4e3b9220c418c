"""Pathway: a tumbling window by event time, reduced in its Rust engine; updates come once per commit."""

import os
from typing import Any

import pathway as pw
from job import WINDOW, Clock, parse_arguments, write_result  # type: ignore[import-not-found]

TIME_FORMAT = "%Y-%m-%dT%H:%M:%S.%6fZ"


def main() -> None:
    """Take every event, write the newest state of each window and end."""
    arguments = parse_arguments()
    events = pw.io.kafka.read(
        {"bootstrap.servers": arguments.bootstrap, "group.id": arguments.group, "auto.offset.reset": "earliest"},
        topic=arguments.topic,
        format="json",
        schema=pw.schema_from_types(user_id=str, occurred_at=str, sales_value=float),
        json_field_paths={"sales_value": "/payload/sales_value"},
        autocommit_duration_ms=100,
    )
    timed = events.select(
        pw.this.user_id, pw.this.sales_value, at=pw.this.occurred_at.dt.strptime(TIME_FORMAT, contains_timezone=False)
    )
    result = timed.windowby(timed.at, window=pw.temporal.tumbling(duration=WINDOW), instance=timed.user_id).reduce(
        user_id=pw.this._pw_instance,
        start=pw.this._pw_window_start,
        count=pw.reducers.count(),
        sales=pw.reducers.sum(pw.this.sales_value),
    )
    clock = Clock()
    windows: dict[tuple[str, int], tuple[int, float]] = {}
    taken = untimed = 0

    def keep(key: Any, row: dict[str, Any], time: int, is_addition: bool) -> None:
        nonlocal taken
        taken += row["count"] if is_addition else -row["count"]
        if is_addition:
            start_ms = row["start"].value // 1_000_000
            windows[row["user_id"], start_ms] = (row["count"], row["sales"])

    def committed(time: int) -> None:
        nonlocal untimed
        if not clock.first_s:
            # These came in before the clock was started, at the end of the first commit.
            untimed = taken
        clock.tick()
        if taken == arguments.events:
            write_result(arguments.output, clock, windows, ["pathway"], untimed)
            # There is no way to end a run whose source does not end.
            os._exit(0)

    pw.io.subscribe(result, on_change=keep, on_time_end=committed)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE)


if __name__ == "__main__":
    main()
