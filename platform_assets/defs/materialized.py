"""The return type of an asset that keeps its data itself."""

from typing import TYPE_CHECKING

from dagster import MaterializeResult

if TYPE_CHECKING:
    Materialized = MaterializeResult[None]
else:
    # Dagster compares the annotation with the bare class and does not know a parametrised one.
    Materialized = MaterializeResult
