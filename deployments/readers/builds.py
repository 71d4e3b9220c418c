"""The demo's warehouse, built again with one more day of purchases each time, and what the API must answer then."""

import datetime as dt
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

import duckdb
import msgspec
import pyarrow as pa

from api.services.metric_answers import AnswerForm, encode_rows
from deployments.local.demo.dataset import SOURCE_SERVICE, load_rows
from deployments.local.demo.state import Mode
from deployments.readers.questions import Question
from platform_assets.contracts.landing import EVENT_COLUMNS, LandingFile
from platform_assets.contracts.payloads import PURCHASE_LINE
from platform_assets.contracts.topics import EVENTS
from resources.landing_zone import LandingZone, arrow_schema
from resources.settings import Settings
from resources.warehouse import Warehouse
from resources.warehouse.dbt_build import dbt_build
from resources.warehouse.landed_tables import RAW_EVENTS
from resources.warehouse.landing_loads import load_in_batches
from resources.warehouse.metric_queries import compile_query
from resources.warehouse.reference_loads import REFERENCE_TABLES, load_reference, source_folder
from resources.warehouse.snapshot_reader import open_snapshot
from resources.warehouse.snapshots import Snapshot, publish_snapshot

LOG = "readers00000000000000a"

# As events of the demo's replay; four lines whose match exceeds their coupon would be refused at the door.
_EVENTS = """
SELECT md5(concat_ws('|', basket_id, product_id, store_id, quantity, sales_value, retail_disc, coupon_disc,
           coupon_match_disc, transaction_timestamp)) AS event_id,
       'transaction' AS event_type, $event_name AS event_name, household_id::VARCHAR AS user_id,
       NULL::VARCHAR AS session_id, transaction_timestamp AT TIME ZONE 'UTC' AS occurred_at,
       now() AS received_at, $source AS source_service, 1::INTEGER AS schema_version, 'readers' AS correlation_id,
       NULL::VARCHAR AS traceparent,
       json_object('basket_id', basket_id::VARCHAR, 'product_id', product_id::VARCHAR, 'store_id', store_id::VARCHAR,
           'quantity', quantity, 'sales_value', sales_value, 'retail_disc', retail_disc, 'coupon_disc', coupon_disc,
           'coupon_match_disc', coupon_match_disc)::VARCHAR AS payload,
       $log AS log, 0::INTEGER AS kafka_partition,
       $first + row_number() OVER (ORDER BY transaction_timestamp, event_id) - 1 AS kafka_offset
FROM lines
WHERE coupon_match_disc <= coupon_disc AND transaction_timestamp >= $begin AND transaction_timestamp < $end
ORDER BY kafka_offset
"""
_BEGIN, _END = dt.datetime(2016, 1, 1), dt.datetime(2018, 2, 1)  # noqa: DTZ001 - the files' times are UTC without a zone
Answers = dict[str, bytes]


@dataclass(frozen=True)
class Build:
    """One build: how long loading, dbt and publishing took, in seconds, what serves now and what it must answer."""

    load_s: float
    dbt_s: float
    publish_s: float
    copied_bytes: int
    snapshot: Snapshot
    answers: Answers


class DemoWarehouse:
    """The demo's year without its last days, which land one by one; goes on where the landing zone ends.

    Args:
        settings: of the data folder that the API serves from.
        mode: all households, or the demo's sample.
        later_days: how many days are held back.
    """

    def __init__(self, settings: Settings, mode: Mode, *, later_days: int) -> None:
        self._settings = settings
        self._warehouse = Warehouse.of(settings)
        self._landing = LandingZone(settings.landing_dir)
        self._lines = load_rows(mode)
        self._offset = self._landing.next_offset(EVENTS.name, LOG, 0)
        last_day = dt.datetime(2017, 12, 31)  # noqa: DTZ001 - as above
        begins = [last_day - dt.timedelta(days=day) for day in reversed(range(later_days))]
        ranges = zip([_BEGIN, *begins], [*begins, _END], strict=True)
        self._ranges = list(ranges)[1 if self._offset else 0 :]

    @property
    def builds_left(self) -> int:
        """How many days can still land."""
        return len(self._ranges)

    def build(self, asked: Sequence[Question], say: Callable[[str], None]) -> Build:
        """Land what comes next, load it, run `dbt build` with its tests, and publish, as warehouse_job does.

        Raises:
            BuildFailed: dbt could not build or test everything.
        """
        is_first = self._offset == 0
        self._land(*self._ranges.pop(0))
        started = time.monotonic()
        if is_first:
            with self._warehouse.write("reference") as connection:
                for table in REFERENCE_TABLES:
                    load_reference(connection, source_folder(), table)
        for _ in load_in_batches(self._warehouse, self._landing, RAW_EVENTS, purpose="load"):
            say("loading")
        loaded = time.monotonic()
        with self._warehouse.locked("dbt build"):
            dbt_build(self._settings, self._warehouse.path, full_refresh=False, tests=True, say=say)
        built = time.monotonic()
        snapshot, _ = publish_snapshot(self._warehouse, self._settings.snapshots_dir)
        published = time.monotonic()
        copied = [file for file in snapshot.files if snapshot.version in file]
        return Build(
            load_s=loaded - started,
            dbt_s=built - loaded,
            publish_s=published - built,
            copied_bytes=sum((self._settings.snapshots_dir / file).stat().st_size for file in copied),
            snapshot=snapshot,
            answers=right_answers(self._settings, snapshot, asked),
        )

    def _land(self, begin: dt.datetime, end: dt.datetime) -> None:
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("lines", self._lines)
            values = {
                "event_name": PURCHASE_LINE, "source": SOURCE_SERVICE, "log": LOG, "first": self._offset,
                "begin": begin, "end": end,
            }  # fmt: skip
            events: pa.Table = connection.execute(_EVENTS, values).to_arrow_table()
        file = LandingFile(EVENTS.name, LOG, 0, self._offset, self._offset + events.num_rows - 1)
        self._landing.write(events.cast(arrow_schema(EVENT_COLUMNS)), file)
        self._offset += events.num_rows


def right_answers(settings: Settings, snapshot: Snapshot, asked: Sequence[Question]) -> Answers:
    """What the API must answer from a snapshot, by path."""
    zone = settings.warehouse.business_timezone
    answers = {}
    with open_snapshot(settings.snapshots_dir, snapshot) as database:
        for question in asked:
            compiled = compile_query(question.query, zone)
            found = database.run(compiled.sql, compiled.parameters, rows=question.query.limit, seconds=60)
            answers[question.path] = encode_rows(question.query.columns, found.rows, AnswerForm.JSON)
    return answers


@dataclass(frozen=True)
class LaterBuilds:
    """What is built beside the readers, and how nice the builds are to other processes."""

    mode: Mode
    days: int
    niceness: int


def build_the_rest(settings: Settings, later: LaterBuilds, asked: Sequence[Question], pipe: Connection) -> None:
    """In a process of its own, so that its work does not stand between the readers and their clock. Reports each."""
    os.nice(later.niceness)
    warehouse = DemoWarehouse(settings, later.mode, later_days=later.days)
    while warehouse.builds_left:
        pipe.send(warehouse.build(asked, lambda _: None))
    pipe.send(Finished())


@dataclass(frozen=True)
class Finished:
    """There is no day left."""


def rows_of(body: bytes) -> tuple[str, bytes]:
    """The snapshot's version and the rows of an answer of the API, as they are encoded."""
    data = msgspec.json.decode(body, type=_Body).data
    return data.snapshot.version, bytes(data.rows)


class _Snapshot(msgspec.Struct):
    version: str


class _Data(msgspec.Struct):
    rows: msgspec.Raw
    snapshot: _Snapshot


class _Body(msgspec.Struct):
    data: _Data
