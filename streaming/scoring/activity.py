"""Which entities a micro-batch of `windows.v1` says were active."""

from dataclasses import dataclass
from typing import Any

import msgspec

from platform_assets.contracts.windows import WINDOWS, UpdateKind
from streaming.record_batch import RecordBatch

ACTIVITY_WINDOW = next(window.name for window in WINDOWS if window.name == "user_activity_1m")
"""The window that every event of a user changes."""


@dataclass(frozen=True, slots=True)
class Place:
    """A record of the log."""

    topic: str
    log: str
    partition: int
    offset: int


@dataclass(frozen=True)
class Activity:
    """The entities in the order of their last change, each with the record of it; and records that are no updates."""

    entities: dict[str, Place]
    unreadable: int


class _Updates(msgspec.Struct):
    """As much of `WindowUpdates` as is needed; the rows of other windows are skipped, not decoded."""

    window: str
    kind: UpdateKind
    rows: msgspec.Raw


_updates_decoder = msgspec.json.Decoder(_Updates)
_rows_decoder = msgspec.json.Decoder(list[tuple[Any, ...]])


def activity_of(batch: RecordBatch, log: str) -> Activity:
    """The entities of a batch. What is no update is counted only: the landing worker says where it stands."""
    entities: dict[str, Place] = {}
    unreadable = 0
    for record in batch.records:
        try:
            updates = _updates_decoder.decode(record.value or b"")
            if updates.window != ACTIVITY_WINDOW or updates.kind is not UpdateKind.CHANGE:
                continue
            keys = [row[0] for row in _rows_decoder.decode(updates.rows)]
        except (msgspec.MsgspecError, IndexError):
            unreadable += 1
            continue
        place = Place(batch.topic, log, batch.partition, record.offset)
        entities.update((key, place) for key in keys if isinstance(key, str))
    return Activity(entities, unreadable)
