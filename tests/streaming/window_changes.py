"""Records of `windows.v1` as the worker writes them, for the tests of what follows that topic."""

from collections.abc import Iterable

from confluent_kafka import Producer

from platform_assets.contracts.topics import EVENTS, WINDOWS
from platform_assets.contracts.windows import UpdateKind, WindowUpdates, encode_updates

MINUTE = 60_000


def activity(users: Iterable[str | None], *, partition: int = 0, kind: UpdateKind = UpdateKind.CHANGE) -> bytes:
    """One event of each user in one minute."""
    return updates("user_activity_1m", [(user, 0, MINUTE, 1, 2.5) for user in users], partition=partition, kind=kind)


def updates(
    window: str, rows: list[tuple[object, ...]], *, partition: int = 0, kind: UpdateKind = UpdateKind.CHANGE
) -> bytes:
    """Any rows of any window."""
    return encode_updates(
        WindowUpdates(
            window=window,
            version=1,
            kind=kind,
            source_topic=EVENTS.name,
            source_log="E",
            source_partition=partition,
            next_offset=1,
            watermark_ms=0,
            emitted_ms=0,
            aggregates=("sales",),
            rows=rows,
        )
    )


def append(address: str, records: Iterable[tuple[int, bytes]]) -> None:
    """Append (partition, value) pairs; returns when the broker has all of them."""
    producer = Producer({"bootstrap.servers": address, "enable.idempotence": True, "linger.ms": 1})
    for partition, value in records:
        producer.produce(WINDOWS.name, value=value, partition=partition)
    assert producer.flush(10) == 0
