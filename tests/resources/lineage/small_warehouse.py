"""A warehouse of some hundred rows that the compiled models are built in, to see what a changed value changes."""

import datetime as dt
import json
import random
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from platform_assets.features.customer_activity import FEATURES_STATEMENT
from platform_assets.lineage.dbt_models import asset_name, in_order

Row = dict[str, Any]
Raw = dict[str, list[Row]]
Contents = dict[str, dict[str, "Counter[str]"]]
"""By asset and column: how often each value stands there."""

_FIRST = dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC)
_FIRST_VERSION = (
    "'' AS dbt_scd_id, TIMESTAMP '2026-01-01' AS dbt_updated_at, TIMESTAMP '2026-01-01' AS dbt_valid_from, "
    "NULL::TIMESTAMP AS dbt_valid_to"
)
"""What dbt adds to a snapshot: at its first build the same for all rows."""

CUTOFFS = [dt.date(2026, 1, 20), dt.date(2026, 2, 9)]
_REASONS = (
    "Object missing required field `payload`",
    "JSON is malformed: invalid character (byte 0)",
    "coupon_match_disc 2.0 is larger than coupon_disc 1.0",
    "schema version 3 is not known",
)


def raw_rows(manifest: Mapping[str, Any], seed: int) -> Raw:
    """Rows for every source: ids that meet each other, some that meet nobody, and nulls where there may be some."""
    dice = random.Random(seed)  # noqa: S311
    makers: dict[str, tuple[int, Callable[[random.Random, int], Row]]] = {
        "events": (200, _event),
        "rejected_events": (30, _rejection),
        "window_results": (20, _window_result),
        "late_events": (10, _late_event),
        "predictions": (10, _prediction),
        "products": (9, _product),
        "demographics": (6, lambda dice, number: {"household_id": f"h{number}", "age": dice.choice(["19-24", "65+"])}),
        "campaigns": (12, lambda _, number: {"campaign_id": f"c{number % 3}", "household_id": f"h{number // 3}"}),
        "campaign_descriptions": (3, lambda _, number: {"campaign_id": f"c{number}", "campaign_type": "Type A"}),
        "coupons": (14, _coupon),
        "coupon_redemptions": (8, _coupon),
    }
    rows: Raw = {}
    for source in manifest["sources"].values():
        name = source["name"]
        # Nothing is held in quarantine.
        count, make = makers.get(name, (0, lambda _, number: {}))
        made = [make(dice, number) for number in range(count)]
        rows[name] = [
            {column: one.get(column, _filler(column, described["data_type"], number))
             for column, described in source["columns"].items()}
            for number, one in enumerate(made)
        ]  # fmt: skip
    return rows


def build(manifest: Mapping[str, Any], raw: Raw) -> Contents:
    """Every model and snapshot, built as dbt builds it the first time, and the features; what they hold."""
    contents: Contents = {}
    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for source in manifest["sources"].values():
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{source["schema"]}"')
            _fill(connection, source, raw[source["name"]])
        for node in in_order(manifest):
            relation = f'"{node["schema"]}"."{node["alias"]}"'
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{node["schema"]}"')
            query = node["compiled_code"]
            if node["resource_type"] == "snapshot":
                query = f"SELECT *, {_FIRST_VERSION} FROM ({query})"  # noqa: S608 - dbt's own statement
            connection.execute(f"CREATE TABLE {relation} AS {query}")
            contents[asset_name(node)] = _contents(connection.execute(f"FROM {relation}"))
        features = connection.execute(FEATURES_STATEMENT, {"cutoffs": CUTOFFS})
        contents["features/customer_activity"] = _contents(features)
    return contents


def differences(before: Contents, after: Contents) -> set[tuple[str, str]]:
    """The columns whose values are not the same, in whatever order."""
    return {
        (asset, column)
        for asset, columns in before.items()
        for column, values in columns.items()
        if values != after[asset][column]
    }


def _contents(found: duckdb.DuckDBPyConnection) -> dict[str, "Counter[str]"]:
    names = [column[0].lower() for column in found.description or []]
    rows = found.fetchall()
    return {name: Counter(repr(row[place]) for row in rows) for place, name in enumerate(names)}


def _fill(connection: duckdb.DuckDBPyConnection, source: Mapping[str, Any], rows: list[Row]) -> None:
    columns = source["columns"]
    declared = ", ".join(f'"{name}" {column["data_type"]}' for name, column in columns.items())
    table = f'"{source["schema"]}"."{source["identifier"]}"'
    connection.execute(f"CREATE TABLE {table} ({declared})")
    if rows:
        connection.register("rows", pa.Table.from_pylist(rows))
        connection.execute(f"INSERT INTO {table} BY NAME FROM rows")


def _filler(column: str, kind: str, number: int) -> Any:
    """A value for a column that no model may do much with."""
    match kind.upper():
        case "VARCHAR":
            return f"{column}-{number}"
        case "DATE":
            return _FIRST.date() + dt.timedelta(days=number)
        case "TIMESTAMPTZ":
            return _FIRST + dt.timedelta(days=30)
        case "BIGINT" | "INTEGER" | "DOUBLE":
            return number
        case _:
            return None


def _at(dice: random.Random) -> dt.datetime:
    return _FIRST + dt.timedelta(days=dice.randrange(30), minutes=dice.randrange(0, 600, 7))


def _event(dice: random.Random, number: int) -> Row:
    line: Row = {
        "basket_id": f"b{dice.randrange(60)}",
        "product_id": f"p{dice.randrange(12)}",
        "store_id": f"s{dice.randrange(4)}",
        "quantity": dice.choice([0, 1, 2, 3, 1500]),
        "sales_value": dice.choice([0.0, 1.25, 2.5, 7.75]),
        "retail_disc": dice.choice([0.0, 0.5]),
        "coupon_disc": dice.choice([0.0, 0.0, 1.0]),
        "coupon_match_disc": dice.choice([0.0, 0.25]),
    }
    is_line = dice.random() < 0.9
    at = _at(dice)
    return {
        "event_id": f"e{number}",
        "event_type": "transaction" if is_line else "custom",
        "event_name": "purchase_line" if is_line else "page_viewed",
        # A basket has one household, nearly always; some lines have none.
        "user_id": None if dice.random() < 0.05 else f"h{int(line['basket_id'][1:]) % 8}",
        "session_id": None,
        "occurred_at": at,
        "received_at": at + dt.timedelta(seconds=dice.randrange(100)),
        "source_service": dice.choice(["shop", "web"]),
        "correlation_id": f"request-{number % 40}",
        "payload": json.dumps(line if is_line else {"path": "/"}),
    }


def _rejection(dice: random.Random, number: int) -> Row:
    return {
        "rejection_id": f"r{number}",
        "event_id": f"e{dice.randrange(300)}",
        "origin": dice.choice(["door", "stream"]),
        "reason": dice.choice(_REASONS),
        "body": json.dumps({"event_name": dice.choice(["purchase_line", "x"])}) if number % 3 else "not json",
        "rejected_at": _at(dice),
    }


def _prediction(dice: random.Random, number: int) -> Row:
    return {"prediction_id": f"q{number}", "entity_id": f"h{number % 7}", "probability": dice.random()}


def _product(dice: random.Random, number: int) -> Row:
    brand = dice.choice(["National", "Private"])
    return {"product_id": f"p{number}", "department": dice.choice("ABC"), "brand": brand}


def _coupon(dice: random.Random, number: int) -> Row:
    """A coupon, or its redemption by somebody."""
    return {
        "coupon_upc": f"u{number % 5}",
        "product_id": f"p{number % 4}",
        "campaign_id": f"c{number % 2}",
        "household_id": f"h{number % 4}",
    }


def _window_result(dice: random.Random, number: int) -> Row:
    start = _at(dice)
    return {
        "result_id": f"w{number}",
        "window_name": dice.choice(["store_sales_1h", "user_session_30m"]),
        "key": f"s{number % 4}",
        "window_start": start,
        "window_end": start + dt.timedelta(hours=1),
        "aggregates": json.dumps({"sales": dice.random(), "units": number}),
    }


def _late_event(dice: random.Random, number: int) -> Row:
    at = _at(dice)
    return {
        "late_id": f"l{number}",
        "occurred_at": at,
        "watermark": at + dt.timedelta(minutes=number),
        "windows": json.dumps(["user_activity_1m", "user_session_30m"][: 1 + number % 2]),
    }
