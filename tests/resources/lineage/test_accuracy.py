"""What the graph says of the warehouse is what happens there: values are changed, and everything is built again."""

import copy
import datetime as dt
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from platform_assets.lineage.graph import Influence, LineageGraph
from platform_assets.lineage.impact import impact_of
from platform_assets.lineage.names import resolve
from resources.lineage.assembly import assemble
from tests.resources.lineage.small_warehouse import Contents, Raw, Row, build, differences, raw_rows

Change = Callable[[random.Random, Any], Any]
_SEED = 20260105


def _number(dice: random.Random, value: Any) -> Any:
    return dice.choice([0, 0, value * 3 + 0.5, 2000])


def _whole_number(dice: random.Random, value: Any) -> Any:
    return dice.choice([0, value + 1, 2000])


def _id(dice: random.Random, value: Any) -> Any:
    return dice.choice([f"{value}-other", f"{str(value)[:1]}{dice.randrange(4)}"])


def _new_id(dice: random.Random, value: Any) -> Any:
    return f"{value}-other"


def _other_time(dice: random.Random, value: dt.datetime) -> dt.datetime:
    return value + dt.timedelta(minutes=dice.choice([-3000, -45, 5, 1500, 20000]))


PAYLOAD: dict[str, Change] = {
    "basket_id": _id,
    "product_id": _id,
    "store_id": _id,
    "quantity": _whole_number,
    "sales_value": _number,
    "retail_disc": _number,
    "coupon_disc": _number,
    "coupon_match_disc": _number,
}
COLUMNS: dict[str, Change] = {
    "raw/events.event_id": _new_id,
    "raw/events.event_name": lambda dice, value: dice.choice(["purchase_line", "page_viewed", "other"]),
    "raw/events.user_id": _id,
    "raw/events.occurred_at": _other_time,
    "raw/events.received_at": _other_time,
    "raw/events.source_service": _id,
    "raw/events.correlation_id": lambda dice, value: f"replay:r{dice.randrange(30)}",
    "raw/rejected_events.reason": lambda dice, value: f"{value} of all",
    "raw/rejected_events.body": lambda dice, value: "{}",
    "raw/window_results.aggregates": lambda dice, value: '{"sales": 77.5}',
    "raw/late_events.watermark": _other_time,
    "raw/products.product_id": _new_id,
    "raw/products.department": _new_id,
    "raw/products.brand": lambda dice, value: "Private" if value == "National" else "National",
    "raw/demographics.age": _new_id,
    "raw/campaigns.household_id": _new_id,
    "raw/coupons.coupon_upc": _new_id,
}


@pytest.fixture(scope="module")
def graph(manifest: Mapping[str, Any]) -> LineageGraph:
    """Without the quarantine: it is the load's, and its table is empty here."""
    return assemble(manifest, quarantines=()).graph


@pytest.fixture(scope="module")
def raw(manifest: Mapping[str, Any]) -> Raw:
    return raw_rows(manifest, _SEED)


@pytest.fixture(scope="module")
def before(manifest: Mapping[str, Any], raw: Raw) -> Contents:
    return build(manifest, raw)


def changed(rows: list[Row], column: str, change: Change) -> list[Row]:
    """Two rows of three with another value; a field of the payload only where the row has it."""
    dice = random.Random(_SEED)  # noqa: S311
    found = copy.deepcopy(rows)
    name, _, field = column.partition(".")
    for row in found:
        if dice.random() < 1 / 3:
            continue
        if not field:
            row[name] = change(dice, row[name])
        elif field in (payload := json.loads(row[name])):
            row[name] = json.dumps(payload | {field: change(dice, payload[field])})
    return found


@pytest.mark.parametrize("name", [*(f"raw/events.payload.{field}" for field in PAYLOAD), *COLUMNS])
def test_nothing_changes_that_the_impact_does_not_name(
    name: str, manifest: Mapping[str, Any], graph: LineageGraph, raw: Raw, before: Contents
) -> None:
    """And nearly all that it calls direct does change."""
    place = resolve(graph, name)
    table, column = place.asset.removeprefix("raw/"), str(place.column)
    change = COLUMNS.get(name) or PAYLOAD[column.removeprefix("payload.")]
    found = differences(before, build(manifest, raw | {table: changed(raw[table], column, change)}))
    impact = impact_of(graph, place)
    named = {(one.asset, one.column or "") for one in impact.affected}
    assert found - named == set()
    direct = {(one.asset, one.column or "") for one in impact.affected if one.influence is Influence.DIRECT}
    # Predictions come back from a model and not from these tables.
    unmoved = {f"{asset}.{column}" for asset, column in direct - found
               if column in before.get(asset, {}) and not asset.startswith("inference/")}  # fmt: skip
    assert unmoved == set()
