"""Events that have landed, as the worker decoded them: the way back from files to windows."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone
from streaming.event_columns import TEXT_FIELDS, EventColumns

ROWS = 10_000


def landed_events(zone: LandingZone, log: str, partition: int, first: int) -> Iterator[EventColumns]:
    """The landed events of one partition from an offset on, in their order, some ten thousand at a time."""
    for file in zone.files(EVENTS.name, log):
        if file.partition == partition and file.last >= first:
            rows = pq.read_table(zone.root / file.path)
            for batch in rows.filter(pc.greater_equal(rows["kafka_offset"], first)).to_batches(max_chunksize=ROWS):
                yield _columns(batch)


def _columns(rows: pa.RecordBatch) -> EventColumns:
    return EventColumns(
        rows["kafka_offset"].to_numpy(),
        rows["occurred_at"].view(pa.int64()).to_numpy(),
        rows["received_at"].view(pa.int64()).to_numpy(),
        rows["schema_version"].to_numpy(),
        rows["payload"].cast(pa.binary()),
        {name: rows[name] for name in TEXT_FIELDS},
    )
