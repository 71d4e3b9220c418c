"""Quix Streams: a tumbling window by event time with its state in RocksDB and on a changelog topic, its defaults."""

from typing import Any

from job import WINDOW, Clock, occurred_ms, parse_arguments, write_result  # type: ignore[import-not-found]
from quixstreams import Application
from quixstreams.dataframe.windows import Count, Sum


def main() -> None:
    """Take every event, write the newest state of each window and end."""
    arguments = parse_arguments()
    app = Application(
        broker_address=arguments.bootstrap,
        consumer_group=arguments.group,
        auto_offset_reset="earliest",
        state_dir=arguments.folder / "quix",
        loglevel="WARNING",
    )
    topic = app.topic(
        arguments.topic,
        value_deserializer="json",
        timestamp_extractor=lambda value, headers, timestamp, kind: occurred_ms(value["occurred_at"]),
    )
    # The embedded broker describes no settings of a topic; Quix Streams copies this one to the changelog.
    topic.broker_config.extra_config.setdefault("retention.ms", "-1")
    clock = Clock()
    windows: dict[tuple[str, int], tuple[int, float]] = {}

    def keep(value: dict[str, Any], key: bytes, timestamp: int, headers: Any) -> None:
        windows[key.decode(), value["start"]] = (value["count"], value["sales"])
        clock.tick()

    frame = app.dataframe(topic).apply(lambda event: event["payload"])
    frame = frame.tumbling_window(WINDOW).agg(count=Count(), sales=Sum("sales_value")).current()
    frame.update(keep, metadata=True)
    app.run(count=arguments.events)
    write_result(arguments.output, clock, windows, ["quixstreams"])


if __name__ == "__main__":
    main()
